"""Ways to break a workflow: its functions, operators, names and their order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bench.mutation.mutants import Mutant, Needs, misspelled, replaced, way
from bench.mutation.seeds import Seed
from dfc.compiler.plan import SqlNode, Use
from dfc.compiler.span import Span
from dfc.compiler.statements import Form
from dfc.grammar.lexer import STRINGS, Kind, Lexeme

_BINARY = frozenset({"~>", "|=>", "&", "|", "?>", "!>"})


def _lexemes(seed: Seed) -> Iterator[tuple[list[Lexeme], int]]:
    """Each lexeme of the workflows of a seed, as its place in the list of its statement."""
    for statement in seed.statements:
        for index in range(len(statement.lexemes)):
            yield statement.lexemes, index


def _span(lexeme: Lexeme) -> Span:
    return Span(lexeme.start, lexeme.end)


def _word(seed: Seed, lexemes: list[Lexeme], index: int) -> str:
    inside = 0 <= index < len(lexemes)
    return seed.text[lexemes[index].start : lexemes[index].end] if inside else ""


def _gone(seed: Seed, lexemes: list[Lexeme], index: int) -> Mutant:
    """Without a lexeme; what stood around it is to blame."""
    lexeme = lexemes[index]
    length = lexeme.end - lexeme.start
    places = [Span(lexeme.start, lexeme.start + 1)]
    if index:
        places.append(_span(lexemes[index - 1]))
    if index + 1 < len(lexemes):
        places.append(Span(lexemes[index + 1].start - length + 1, lexemes[index + 1].end - length + 1))
    return replaced(seed.text, _span(lexeme), " ", *places)


def _joins(seed: Seed, lexemes: list[Lexeme], index: int) -> bool:
    """Whether the texts around a lexeme are one text without it: they stand on two lines."""
    before, after = lexemes[index - 1], lexemes[index + 1]
    line = "\n" in seed.text[before.end : after.start]
    return line and before.kind in STRINGS and after.kind in STRINGS


@way("misspelled node function")
def function(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        called = _word(seed, lexemes, index - 1) == "." and _word(seed, lexemes, index + 1) == "("
        if called and _word(seed, lexemes, index - 2) == "df":
            name = _word(seed, lexemes, index)
            mutant = replaced(seed.text, _span(lexemes[index]), misspelled(name))
            yield Mutant(mutant.text, (Span(lexemes[index - 2].start, lexemes[index].end),))


@way("misspelled argument name")
def argument(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        if lexemes[index].kind is Kind.IDENT and _word(seed, lexemes, index + 1) in ("=>", ":="):
            yield replaced(seed.text, _span(lexemes[index]), misspelled(_word(seed, lexemes, index)))


@way("dropped comma")
def comma(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        if _word(seed, lexemes, index) == "," and not _joins(seed, lexemes, index):
            yield _gone(seed, lexemes, index)


@way("doubled comma")
def commas(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        if _word(seed, lexemes, index) == ",":
            place = lexemes[index].start
            yield replaced(seed.text, _span(lexemes[index]), ",,", Span(place + 1, place + 2))


@way("dropped operator")
def operator(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        binary = lexemes[index].kind is Kind.OPERATOR and _word(seed, lexemes, index) in _BINARY
        if binary and not _joins(seed, lexemes, index):
            yield _gone(seed, lexemes, index)


@way("doubled operator")
def operators(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        written = _word(seed, lexemes, index)
        if lexemes[index].kind is Kind.OPERATOR and written in _BINARY:
            start = lexemes[index].start + len(written) + 1
            by = f"{written} {written}"
            yield replaced(seed.text, _span(lexemes[index]), by, Span(start, start + len(written)))


@way("missing closing parenthesis")
def opened(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        if _word(seed, lexemes, index) == ")":
            mutant = _gone(seed, lexemes, index)
            before = [_span(lexemes[at]) for at in range(index) if _word(seed, lexemes, at) == "("]
            yield Mutant(mutant.text, (*mutant.places, *before))


@way("missing opening parenthesis")
def closed(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        if _word(seed, lexemes, index) == "(":
            mutant = _gone(seed, lexemes, index)
            behind = [
                _span(lexemes[at]) for at in range(index, len(lexemes)) if _word(seed, lexemes, at) == ")"
            ]
            yield Mutant(mutant.text, (*mutant.places, *behind))


@way("extra closing parenthesis")
def extra(seed: Seed) -> Iterator[Mutant]:
    for statement in seed.statements:
        end = statement.end
        yield replaced(seed.text, Span(end, end), " )", Span(end + 1, end + 2))


@way("missing closing quote")
def quote(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        lexeme = lexemes[index]
        if lexeme.kind in STRINGS and lexeme.kind is not Kind.DOLLAR_STRING:
            text = seed.text[: lexeme.end - 1] + seed.text[lexeme.end :]
            # The text swallows what follows up to the next quote: the last one has no partner.
            later = [at for at in range(lexeme.end - 1, len(text)) if text[at] == "'"]
            places = [Span(at, len(text)) for at in later[:2] + later[-1:]]
            yield Mutant(text, (_span(lexeme), *places))


@way("missing end of a dollar-quoted text")
def dollar(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        lexeme = lexemes[index]
        if lexeme.kind is Kind.DOLLAR_STRING:
            tag = seed.text[lexeme.start : seed.text.index("$", lexeme.start + 1) + 1]
            text = seed.text[: lexeme.end - len(tag)] + seed.text[lexeme.end :]
            again = text.find(tag, lexeme.start + len(tag))
            places = [] if again == -1 else [Span(again, len(text))]
            yield Mutant(text, (_span(lexeme), *places))


@way("comment without an end")
def comment(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        start = lexemes[index].start
        yield replaced(seed.text, Span(start, start), "/* ", Span(start, start + 2))


def _names(seed: Seed) -> Iterator[tuple[str, Lexeme, int]]:
    """The names of steps and bindings with their literals, and the number of their statement."""
    for number, statement in enumerate(seed.statements):
        lexemes = statement.lexemes
        for index, lexeme in enumerate(lexemes):
            before = [_word(seed, lexemes, index - back) for back in (3, 2, 1)]
            if lexeme.kind is Kind.STRING and before == [".", "step", "("]:
                yield seed.text[lexeme.start + 1 : lexeme.end - 1], lexeme, number


@way("duplicate step name")
def duplicate(seed: Seed) -> Iterator[Mutant]:
    names = list(_names(seed))
    for (first, one, number), (_, other, number_too) in pairwise(names):
        if number == number_too:
            by = f"'{first}'"
            place = Span(other.start, other.start + len(by))
            yield replaced(seed.text, _span(other), by, place, _span(one))


@way("bad step name")
def bad_name(seed: Seed) -> Iterator[Mutant]:
    for name, lexeme, _ in _names(seed):
        for by in (f"'{name} {name}'", "''", f"'1{name}'", f"'{name}-x'"):
            yield replaced(seed.text, _span(lexeme), by)


@way("reserved step name")
def reserved(seed: Seed) -> Iterator[Mutant]:
    for _, lexeme, _ in _names(seed):
        yield replaced(seed.text, _span(lexeme), "'input'")


@way("unknown reference")
def unknown(seed: Seed) -> Iterator[Mutant]:
    for body in seed.bodies:
        parameters = getattr(getattr(body.node, "body", None), "parameters", ())
        literals = getattr(getattr(body.node, "body", None), "literals", ())
        for parameter in parameters:
            place = body.place(parameter.start, parameter.end)
            in_literal = any(one.start <= parameter.start < one.end for one in literals)
            if place is not None and not in_literal:
                written = seed.text[place.start : place.end]
                rest = written.removeprefix(f"${parameter.name}")
                by = f"${misspelled(parameter.name)}{rest}"
                yield replaced(seed.text, place, by)


@way("column of a count, a response or rows as a value")
def part(seed: Seed) -> Iterator[Mutant]:
    for body in seed.bodies:
        if isinstance(body.node, SqlNode) and body.kind in ("select", "insert", "update", "delete"):
            for parameter in body.node.body.parameters:
                place = body.place(parameter.start, parameter.end)
                literals = body.node.body.literals
                in_literal = any(one.start <= parameter.start < one.end for one in literals)
                if place is not None and not in_literal and parameter.use is Use.VALUE:
                    yield replaced(seed.text, place, f"${parameter.name}.*")


def _wrapped(seed: Seed, front: str, behind: str, wrong: str) -> Iterator[Mutant]:
    """The expression of a workflow with something in front of it and behind it; `wrong` is to blame."""
    for statement in seed.statements:
        if statement.form is Form.BARE:
            text = seed.text
            whole = text[statement.start : statement.end]
            # A line comment at its end would swallow what follows.
            built = f"{front}({whole}\n){behind}"
            changed = text[: statement.start] + built + text[statement.end :]
            at = front.find(wrong)
            offset = at if at >= 0 else built.rindex(wrong)
            start = statement.start + offset
            yield Mutant(changed, (Span(start, start + len(wrong)),))


@way("reference before its step")
def early(seed: Seed) -> Iterator[Mutant]:
    for name, _, number in _names(seed):
        if len(seed.statements) == 1 and number == 0:
            yield from _wrapped(seed, f"'SELECT ${name}' ~> ", "", f"${name}")


@way("reference across branches")
def across(seed: Seed) -> Iterator[Mutant]:
    for name, _, number in _names(seed):
        if len(seed.statements) == 1 and number == 0:
            yield from _wrapped(seed, "", f" & 'SELECT ${name}'", f"${name}")
            yield from _wrapped(seed, "", f" | 'SELECT ${name}'", f"${name}")


@way("branches that conflict", Needs.LINT)
def conflict(seed: Seed) -> Iterator[Mutant]:
    for body in seed.bodies:
        node = body.node
        if isinstance(node, SqlNode) and body.kind in ("insert", "update", "delete"):
            table = sorted(_written(body.sql))
            span = body.origin.span
            if table and seed.text[span.start] in "'$d":
                other = f"'DELETE FROM {table[0]} WHERE false'"
                written = seed.text[span.start : span.end]
                by = f"({written}\n & {other})"
                start = span.start + len(by) - 1 - len(other)
                one = Span(span.start + 1, span.start + 1 + len(written))
                yield replaced(seed.text, span, by, one, Span(start, start + len(other)))


def _written(sql: str) -> frozenset[str]:
    from dfc.compiler.ast import Text
    from dfc.compiler.sql import analyse

    return analyse(Text(value=sql)).writes


APPENDED: tuple[tuple[str, str, str], ...] = (
    ("reference to a branch not taken", "('SELECT true' ?> df.step('maybe_ran', 'SELECT 1')) ~> 'SELECT $maybe_ran'", "$maybe_ran"),
    ("break outside of a loop", "df.break()", "df.break()"),
    ("bad cron", "df.wait_for_schedule('61 * * * *')", "'61 * * * *'"),
    ("bad cron of six fields", "df.wait_for_schedule('* * * * * *')", "'* * * * * *'"),
    ("bad time zone", "df.wait_for_schedule('0 3 * * *', 'Europe/Wein')", "'Europe/Wein'"),
    ("bad duration", "df.sleep('5 parsecs')", "'5 parsecs'"),
    ("negative duration", "df.sleep(-1)", "-1"),
    ("bad timestamp", "df.wait_until('2030-02-31 12:00')", "'2030-02-31 12:00'"),
    ("bad policy value", "df.sql('SELECT 1', on_error => 'explode')", "'explode'"),
    ("policy of the wrong kind", "df.sql('SELECT 1', max_attempts => 'three')", "'three'"),
    ("policy below one", "df.sql('SELECT 1', max_attempts => 0)", "0"),
    ("bad rate", "df.sql('SELECT 1', rate_limit => '100 per minute')", "'100 per minute'"),
    ("bad isolation", "df.sql('SELECT 1', isolation => 'snapshot')", "'snapshot'"),
    ("settings that are no JSON", "df.sql('SELECT 1', settings => '{work_mem}')", "'{work_mem}'"),
    ("bad HTTP method", "df.http('https://example.org/', 'FETCH')", "'FETCH'"),
    ("bad URL", "df.http('example.org/x', 'GET')", "'example.org/x'"),
    ("bad headers", "df.http('https://example.org/', headers => '[1]')", "'[1]'"),
    ("empty step", "''", "''"),
    ("step of one bare word", "'VACUUM'", "'VACUUM'"),
    ("else without if", "'SELECT 2' !> 'SELECT 3'", "!>"),
    ("NULL in place of a step", "NULL", "NULL"),
    ("a number in place of a step", "42", "42"),
    ("too many arguments", "df.sleep(1, 2, 3)", "2"),
    ("missing argument", "df.step('only_a_name')", "df.step('only_a_name')"),
    ("argument twice", "df.sql('SELECT 1', timeout => '1 min', timeout => '2 min')", "timeout => '2 min'"),
    ("positional behind named", "df.step(name => 'named', 'SELECT 1')", "'SELECT 1'"),
    ("column of a count", "df.step('counted', 'DELETE FROM a WHERE false') ~> 'SELECT $counted.id'", "$counted.id"),
    ("rows of a count", "df.step('counted', 'DELETE FROM a WHERE false') ~> 'SELECT * FROM $counted.*'", "$counted.*"),
    ("error of a step that stops", "df.step('stops', 'SELECT 1') ~> 'SELECT $stops.error.message'", "$stops.error.message"),
    ("field of a response that has none", "df.step('answered', df.http('https://example.org/', 'GET')) ~> 'SELECT $answered.statsu'", "$answered.statsu"),
    ("item outside of a map", "'SELECT $item'", "$item"),
    ("error outside of a catch", "'SELECT $error.message'", "$error.message"),
    ("map of at most no items at once", "df.map('SELECT 1', 'SELECT $item', max_parallel => 0)", "0"),
    ("HTTP inside of a query", "'SELECT 1, df.http(''https://example.org/'')'", "df.http(''https://example.org/'')"),
    ("HTTP in a transaction", "df.atomic('SELECT 1' ~> df.http('https://example.org/'))", "df.http('https://example.org/')"),
    ("text joined to a workflow", "df.step('joined', 'SELECT 1') || 'x'", "||"),
    ("two statements", "'SELECT 1; DELETE FROM a'", "DELETE FROM a"),
    ("transaction control", "'ROLLBACK WORK'", "ROLLBACK WORK"),
    ("savepoint", "'SAVEPOINT here'", "SAVEPOINT here"),
    ("role", "'SET ROLE postgres'", "SET ROLE postgres"),
    ("COPY FROM STDIN", "'COPY a FROM STDIN'", "STDIN"),
    ("command of psql", "'\\d accounts'", "\\d accounts"),
    ("positional parameter", "'SELECT $1'", "$1"),
    ("comment without an end in a step", "'SELECT 1 /* x'", "/*"),
    ("reference in a body", "df.step('v', 'SELECT 1') ~> 'DO $q$ BEGIN PERFORM $v; END $q$'", "$v"),
    ("rows in place of a value", "df.step('v', 'SELECT 1') ~> 'SELECT $v.*'", "$v.*"),
    ("a value in place of rows", "df.step('v', 'SELECT 1') ~> 'SELECT * FROM $v'", "$v"),
    ("unknown part of a reference", "df.step('v', 'SELECT 1 AS a, 2 AS b') ~> 'SELECT $v.c'", "$v.c"),
    ("reserved name of a binding", "('SELECT 1' |=> 'input')", "'input'"),
    ("undo in an undo", "df.compensate('SELECT 1', df.compensate('SELECT 2', 'SELECT 3'))", "df.compensate('SELECT 2', 'SELECT 3')"),
    ("signal without a name", "df.wait_for_signal('')", "''"),
    ("unknown function of SQL in place of a step", "lower('SELECT 1')", "lower"),
)  # fmt: skip
"""Ways that append something wrong to a workflow: the name, what is appended, and what is to blame in it."""


def _append(expression: str, wrong: str):
    def breaks(seed: Seed) -> Iterator[Mutant]:
        return _wrapped(seed, "", f" ~> {expression}", wrong)

    return breaks


for _name, _expression, _wrong in APPENDED:
    way(_name)(_append(_expression, _wrong))


@way("command of psql in the file")
def psql(seed: Seed) -> Iterator[Mutant]:
    for statement in seed.statements:
        at = Span(statement.start, statement.start)
        yield replaced(seed.text, at, "\\d accounts\n", Span(at.start, at.start + 1))


@way("COPY FROM STDIN in the file")
def copy(seed: Seed) -> Iterator[Mutant]:
    for statement in seed.statements:
        at = Span(statement.start, statement.start)
        yield replaced(seed.text, at, "COPY a FROM STDIN;\n1\n\\.\n", Span(at.start, at.start + 17))


@way("NUL in the file")
def nul(seed: Seed) -> Iterator[Mutant]:
    for lexemes, index in _lexemes(seed):
        at = lexemes[index].start
        yield replaced(seed.text, Span(at, at), "\0", Span(at, at + 1))
