"""One SQL statement of a step: is it legal, what is it, what does it refer to, which tables does it touch."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from dfc.compiler.ast import Piece, Text
from dfc.compiler.diagnostics import Diagnostic, Fix, error, replacing
from dfc.compiler.nearness import Near
from dfc.compiler.plan import Form, Literal, Returns, Use
from dfc.compiler.span import Span
from dfc.compiler.sql import commands, literals, native
from dfc.compiler.sql.advice import LEXICAL, command_near, correction
from dfc.compiler.sql.commands import Shape
from dfc.compiler.sql.options import unknown_argument, unknown_field, unknown_word
from dfc.compiler.sql.places import places
from dfc.compiler.sql.references import Place, Reference, for_grammar, reference_at, references
from dfc.compiler.sql.select_into import create_table_as
from dfc.compiler.sql.tables import UNKNOWN, Tables, tables
from dfc.compiler.sql.tokens import Token, closing, identifier, split_comments, tokens
from dfc.grammar.lexer import Kind, Lexeme

STEP_SQL_BYTES_MAX = 1_000_000
"""The longest statement of a step, in bytes of UTF-8."""
_CACHED_STATEMENTS_MAX = 4_096
_COMMENTS_MAX = 1_000
"""The scanner of PostgreSQL takes quadratic time for comments in comments."""
_PROBLEMS_MAX = 20
"""How often one statement is told the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """The statement is an HTTP step. `many`: it has a FROM, a request a row. `span` is the call."""

    many: bool
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What is known about a statement. All offsets refer to `sql`, in code points.

    `sql` has no trailing semicolon, no comment or blank at its ends, and SELECT INTO is CREATE TABLE AS.
    `text` is `sql` with its places in the source. `kind` is the command tag in lower case, `` where it is
    no command. Tables are looked up when they are asked for: most compilations never need sqlglot.
    `references` has everything in a literal that looks like a reference, `literals` the literals for them:
    which of them are some is what `literals_of` says. `fixed` are those in a literal where PostgreSQL takes
    nothing but a constant.
    """

    text: Text
    kind: str
    form: Form
    returns: Returns
    references: tuple[Reference, ...] = ()
    literals: tuple[Literal, ...] = ()
    fixed: tuple[Reference, ...] = ()
    http: HttpCall | None = None
    problems: tuple[Diagnostic, ...] = ()

    @property
    def sql(self) -> str:
        """The statement as it is sent."""
        return self.text.value

    @property
    def tables(self) -> Tables:
        """The tables of the statement; unknown when it has problems."""
        return UNKNOWN if self.problems else tables(self.sql, self.kind)

    @property
    def reads(self) -> frozenset[str]:
        """The tables read: `schema.table`, folded as PostgreSQL does; empty unless `tables.analysed`."""
        return self.tables.reads

    @property
    def writes(self) -> frozenset[str]:
        """The tables written, as in `reads`."""
        return self.tables.writes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """A problem at offsets of the text that was given."""

    code: str
    message: str
    start: int
    end: int
    help: str = ""
    label: str = ""
    near: Near | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """An analysis without places in a source. `runs` are (offset in `sql`, offset in the text, length)."""

    sql: str
    runs: tuple[tuple[int, int, int], ...]
    shape: Shape
    problems: tuple[_Problem, ...]
    references: tuple[Reference, ...] = ()
    literals: tuple[Literal, ...] = ()
    fixed: tuple[Reference, ...] = ()
    http: tuple[bool, int, int] | None = None


_NOTHING = Shape(kind="", form=Form.EXECUTE, returns=Returns.COUNT, parameters=True)


def analyse(text: Text) -> Analysis:
    """Analyse the statement of a step. Never raises for bad text: what is wrong is in `problems`."""
    found = _found(text.value)
    http = found.http
    return Analysis(
        text=Text(value=found.sql, span=text.span, pieces=_pieces(text, found.runs)),
        kind=found.shape.kind,
        form=found.shape.form,
        returns=found.shape.returns,
        references=found.references,
        literals=found.literals,
        fixed=found.fixed,
        http=None if http is None else HttpCall(many=http[0], span=text.locate(http[1], http[2])),
        problems=tuple(
            [
                error(
                    problem.code,
                    problem.message,
                    text.locate(problem.start, problem.end),
                    help=problem.help,
                    fix=_fix(text, problem),
                )
                for problem in found.problems
            ]
        ),
    )


def illegal(text: Text) -> Diagnostic | None:
    """What PostgreSQL's grammar has against a statement that goes to the server as it stands.

    Nothing is said of several statements, nor of what is too long to be asked about.
    """
    value = text.value
    if _unreadable(value) is not None or value.count("/*") > _COMMENTS_MAX:
        return None
    if not isinstance(native.statements(value), native.Fault):
        return None
    code, comments = split_comments(value)
    items = tokens(value, code)
    problem = _illegal(value, items, comments, {})
    if problem is None or problem.code == "DF122":
        return None
    return error(problem.code, problem.message, text.locate(problem.start, problem.end), help=problem.help)


def literals_of(
    analysis: Analysis, known: Container[str]
) -> tuple[tuple[Reference, ...], tuple[Literal, ...]]:
    """The references of a statement, and its literals with any, where only these names are known.

    A reference in a literal whose name is not known is text. Reserved names that hold have to be in `known`.
    """
    return literals.known_in(analysis.sql, analysis.references, analysis.literals, known)


def _pieces(text: Text, runs: tuple[tuple[int, int, int], ...]) -> tuple[Piece, ...]:
    """The pieces of the statement: those of the text, cut and moved."""
    if runs == ((0, 0, len(text.value)),):
        return text.pieces
    pieces: list[Piece] = []
    for value_start, text_start, length in runs:
        for piece in text.pieces:
            start = max(piece.value_start, text_start)
            end = min(piece.value_start + piece.length, text_start + length)
            if start < end:
                cut_end = piece.value_start + piece.length - end
                source_end = piece.source_end - cut_end if cut_end else piece.source_end
                pieces.append(
                    Piece(
                        value_start=value_start + start - text_start,
                        length=end - start,
                        source_start=piece.source_start + start - piece.value_start,
                        source_end=source_end,
                    )
                )
    return tuple(sorted(pieces, key=lambda piece: piece.value_start))


@lru_cache(maxsize=_CACHED_STATEMENTS_MAX)
def _found(value: str) -> _Found:
    refused = _unreadable(value)
    if refused is not None:
        return _refused(value, refused)
    code, comments = split_comments(value)
    first, last = 0, len(code)
    while first < last and value[code[first].start : code[first].end] == ";":
        first += 1
    while last > first and value[code[last - 1].start : code[last - 1].end] == ";":
        last -= 1
    if first == last:
        return _refused(
            value, _problem("DF123", "the step has no statement", 0, len(value), "write one statement")
        )
    begin, end = code[first].start, code[last - 1].end
    inner = [comment for comment in comments if begin < comment.start < end]
    sql = value[begin:end]
    items = tokens(sql, _moved(code[first:last], begin))
    shape = commands.classify(items)
    inside = _moved(inner, begin)
    found = _Found(sql=sql, runs=((0, begin, len(sql)),), shape=shape, problems=())
    where: dict[int, Place] = {}
    if "$" in sql and shape.kind not in commands.SUBROUTINES:
        where = places(sql, items, inside, shape.kind)
        texts = literals.literals(sql, items, inside, shape.kind, where)
        both = (*references(sql, items, where), *texts.references)
        found = replace(
            found,
            references=tuple(sorted(both, key=lambda reference: reference.start)),
            literals=texts.literals,
            fixed=texts.fixed,
        )
    problems = _problems(sql, items, inside, shape, where)
    calls = commands.http_calls(sql, items) if "http" in sql.lower() else []
    http = commands.http_call(sql, items, shape) if calls else None
    if not problems and calls:
        problems = _http_problems(items, shape, calls, http)
    unknown = unknown_word(sql, items, shape.kind) if not problems else None
    if not problems and unknown is None and "extract" in sql.lower():
        unknown = unknown_field(sql, items)
    if not problems and http is not None:
        unknown = unknown_argument(sql, items, http[0].start)
    if unknown is not None:
        problems = [_problem(*unknown)]
    if problems:
        moved = [
            replace(problem, start=problem.start + begin, end=problem.end + begin) for problem in problems
        ]
        return replace(found, problems=tuple(moved))
    if http is not None:
        start, stop = items[http[0].start].start + begin, items[http[0].stop - 1].end + begin
        found = replace(found, http=(http[1], start, stop))
    return found if shape.into is None else _create_table_as(found, items, shape.into)


def _moved(lexemes: list[Lexeme], begin: int) -> list[Lexeme]:
    if not begin:
        return lexemes
    return [Lexeme(lexeme.kind, lexeme.start - begin, lexeme.end - begin) for lexeme in lexemes]


def _refused(value: str, problem: _Problem) -> _Found:
    return _Found(sql=value, runs=((0, 0, len(value)),), shape=_NOTHING, problems=(problem,))


def _problem(
    code: str, message: str, start: int, end: int, help: str = "", near: Near | None = None
) -> _Problem:
    return _Problem(code=code, message=message, start=start, end=end, help=help, near=near)


def _fix(text: Text, problem: _Problem) -> Fix | None:
    near = problem.near
    if near is None or not near.sure:
        return None
    old = text.value[problem.start : problem.end]
    return replacing(text.locate(problem.start, problem.end), old, near.word)


def _unreadable(value: str) -> _Problem | None:
    """What keeps a text from being scanned at all: its size, or characters that PostgreSQL cannot store."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError as fault:
        return _problem(
            "DF129", "half of a surrogate pair is no character", fault.start, fault.start + 1, "remove it"
        )
    if size > STEP_SQL_BYTES_MAX:
        return _problem(
            "DF515",
            f"the statement has {size} bytes, more than `step_sql_bytes_max` ({STEP_SQL_BYTES_MAX})",
            0,
            len(value),
            "load the data into a table and refer to it",
        )
    nul = value.find("\0")
    if nul != -1:
        return _problem("DF129", "the statement contains a NUL character", nul, nul + 1, "remove it")
    return None


def _problems(
    sql: str, items: list[Token], comments: list[Lexeme], shape: Shape, where: Mapping[int, Place]
) -> list[_Problem]:
    for token in items:
        if token.kind is Kind.BACKSLASH:
            return [
                _problem(
                    "DF127",
                    "a step holds SQL only, and psql's commands are none",
                    token.start,
                    token.end,
                    "write the command in SQL",
                )
            ]
        if token.kind is Kind.UNTERMINATED_COMMENT:
            return [_problem("DF120", "the comment is not closed", token.start, token.start + 2, "add `*/`")]
    problems = _parameters(items, shape)
    used = [token for token in items if token.kind is Kind.REFERENCE][:_PROBLEMS_MAX]
    if used and shape.kind in commands.SUBROUTINES:
        return problems + [
            _problem(
                "DF121",
                f"nothing is replaced in the body of {shape.kind.upper()}",
                token.start,
                token.end,
                "pass it as an argument",
            )
            for token in used
        ]
    illegal = _illegal(sql, items, comments, where)
    if illegal is not None:
        return [*problems, illegal]
    forbidden = _forbidden(sql, items, shape)
    return problems if forbidden is None else [*problems, forbidden]


def _parameters(items: list[Token], shape: Shape) -> list[_Problem]:
    if shape.kind in commands.SUBROUTINES or shape.kind == "prepare":
        return []
    return [
        _problem(
            "DF128",
            "a positional parameter has no value in a step",
            token.start,
            token.end,
            "refer to an earlier step by its name: `$name`",
        )
        for token in [token for token in items if token.kind is Kind.PARAM][:_PROBLEMS_MAX]
    ]


def _illegal(
    sql: str, items: list[Token], comments: list[Lexeme], where: Mapping[int, Place]
) -> _Problem | None:
    """The verdict of PostgreSQL's grammar."""
    rendered = for_grammar(sql, items, comments, where)
    verdict = native.statements(rendered.text)
    if not isinstance(verdict, native.Fault):
        if len(verdict) <= 1:
            return None
        second = _at(items, rendered.original(verdict[1]))
        start = len(sql) if second is None else second.start
        return _problem(
            "DF122",
            f"a step is one statement, and these are {len(verdict)}",
            start,
            items[-1].end,
            "make each statement a step of its own, joined by `~>`",
        )
    if verdict.message.startswith("memory exhausted"):
        start = 0 if verdict.offset is None else rendered.original(verdict.offset)
        return _problem(
            "DF516",
            "the statement nests deeper than PostgreSQL's parser goes (`step_sql_depth_max`: 10,000 symbols)",
            start,
            min(start + 1, len(sql)),
            "take it apart",
        )
    message, near = verdict.message, None
    if verdict.offset is None:
        return _encoding(sql, items, message)
    offset = rendered.original(verdict.offset)
    token = _at(items, offset)
    if token is None:
        end = items[-1]
        help = "write what is missing: an operand, a clause or a closing parenthesis"
        return _problem("DF120", "the statement ends too early, behind this", end.start, end.end, help)
    if token.kind is Kind.REFERENCE:
        return _misplaced(sql, items, token)
    written = sql[token.start : token.end]
    if message.startswith("syntax error"):
        shown = written if len(written) <= 40 else written[:37] + "..."
        message = f"PostgreSQL's grammar does not allow `{shown}` here"
        help = correction(items, token, written)
        near = command_near(items, token, written)
    else:
        message = message.partition(" at or near ")[0]
        help = LEXICAL.get(message, "correct the statement until PostgreSQL's parser takes it")
    return _problem("DF120", message, max(token.start, min(offset, token.end - 1)), token.end, help, near)


def _at(items: list[Token], offset: int) -> Token | None:
    """The token at an offset, or the next one."""
    index = bisect_right(items, offset, key=lambda token: token.end)
    return items[index] if index < len(items) else None


def _encoding(sql: str, items: list[Token], message: str) -> _Problem:
    """A fault without a position: an escape that stands for no character. The first literal that has it."""
    for token in items:
        if token.kind is Kind.ESCAPE_STRING:
            alone = native.statements("SELECT " + sql[token.start : token.end])
            if isinstance(alone, native.Fault):
                return _problem("DF120", message, token.start, token.end, "write the character itself")
    return _problem("DF120", message, 0, len(sql), "write the characters themselves, not escapes")


def _misplaced(sql: str, items: list[Token], token: Token) -> _Problem:
    """A reference where the grammar has no place for what it stands for."""
    written = sql[token.start : token.end]
    parsed = reference_at(sql, token.start, token.end)
    index = items.index(token)
    before = items[index - 1].word if index else ""
    if parsed.use is Use.ROWS:
        message = f"`{written}` is a table and cannot stand here"
        help = f"write `FROM {written}`, or `${parsed.name}.column` for a value"
    elif before in ("from", "join", "using", "lateral"):
        message = f"`{written}` is one value and cannot stand for a table"
        help = f"write `${parsed.name}.*` for its rows"
    else:
        message = f"PostgreSQL takes no value here, so `{written}` cannot stand here"
        help = "put the reference where an expression can stand"
        if before in ("interval", "timestamp", "timestamptz", "date", "time"):
            help = f"write `{written}::{before}`"
    return _problem("DF130", message, token.start, token.end, help)


_TRANSACTION = frozenset(
    {
        "begin",
        "start transaction",
        "commit",
        "rollback",
        "savepoint",
        "release",
        "prepare transaction",
        "commit prepared",
        "rollback prepared",
    }
)
_ROLE_SETTINGS = frozenset({"role", "session_authorization"})


def _forbidden(sql: str, items: list[Token], shape: Shape) -> _Problem | None:
    """Legal SQL that has no place in a step."""
    words = [identifier(sql, token) or token.word for token in items[:4]]
    end = items[-1].end
    kind = shape.kind
    if words[0] in ("set", "reset"):
        rest = words[1:]
        if rest[:1] in (["local"], ["session"]) and rest[1:2] not in (["authorization"], ["="], ["to"]):
            rest = rest[1:]
        named = rest[0] if rest else ""
        if named in _ROLE_SETTINGS or rest[:2] == ["session", "authorization"]:
            return _problem(
                "DF125", "a step runs as the role that submitted it", 0, end, "remove the statement"
            )
        if named == "transaction" and words[0] == "set" and rest[1:2] not in (["="], ["to"]):
            kind = "begin"
    called = _role_by_function(sql, items)
    if called is not None:
        start, finish = called
        help = "start the workflow as that role, or call a function that is `SECURITY DEFINER`"
        return _problem("DF125", "a step runs as the role that submitted it", start, finish, help)
    if kind in _TRANSACTION:
        return _problem(
            "DF124",
            "a step runs in a transaction of its own, and cannot control it",
            0,
            end,
            "remove the statement: each step commits by itself",
        )
    if kind == "copy":
        for index, token in enumerate(items):
            if (
                token.depth == 0
                and token.word in ("stdin", "stdout")
                and items[index - 1].word in ("from", "to")
            ):
                return _problem(
                    "DF126",
                    "a step has no client that could send or receive the data of COPY",
                    token.start,
                    token.end,
                    "use INSERT, or a file of the server",
                )
    return None


def _role_by_function(sql: str, items: list[Token]) -> tuple[int, int] | None:
    """Where `set_config('role', ..., false)` stands, which does what SET ROLE does.

    Until the end of the transaction another role does no harm: row security is used like that.
    """
    for index, token in enumerate(items[:-2]):
        if identifier(sql, token) != "set_config" or items[index + 1].word != "(":
            continue
        setting = items[index + 2]
        if items[min(closing(items, index + 1), len(items)) - 1].word != "false":
            continue
        if setting.kind is Kind.STRING and sql[setting.start + 1 : setting.end - 1].lower() in _ROLE_SETTINGS:
            return token.start, setting.end
    return None


_CALLING = commands.QUERIES | {
    "create table as",
    "create materialized view",
    "explain",
    "copy",
    "call",
    "execute",
    "declare cursor",
}


def _http_problems(
    items: list[Token], shape: Shape, calls: list[int], http: tuple[range, bool] | None
) -> list[_Problem]:
    """Calls of `df.http` that are not the whole select list."""
    if shape.kind not in _CALLING:
        return []
    allowed = http[0].start if http is not None else -1
    return [
        _problem(
            "DF131",
            "`df.http` is not the whole select list of the step",
            items[index].start,
            items[min(closing(items, index + 3), len(items) - 1)].end,
            "make the request a step of its own: `SELECT df.http(...)`, and refer to its result by name",
        )
        for index in [index for index in calls if index != allowed][:_PROBLEMS_MAX]
    ]


def _create_table_as(found: _Found, items: list[Token], into: range) -> _Found:
    written = create_table_as(found.sql, items, into)
    [(_, begin, _)] = found.runs
    moved = written.moved
    references = [
        replace(one, start=moved(one.start), end=moved(one.start) + one.end - one.start)
        for one in found.references
    ]
    literals = [
        replace(
            one,
            start=moved(one.start),
            end=moved(one.start) + one.end - one.start,
            type_start=None if one.type_start is None else moved(one.type_start),
            escapes=tuple([moved(offset) for offset in one.escapes]),
        )
        for one in found.literals
    ]
    return replace(
        found,
        sql=written.sql,
        runs=tuple([(to, begin + of, length) for to, of, length in written.runs]),
        references=tuple(sorted(references, key=lambda one: one.start)),
        literals=tuple(sorted(literals, key=lambda one: one.start)),
    )
