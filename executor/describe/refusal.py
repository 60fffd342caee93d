"""What a refusal of PostgreSQL's means: where in the step it is, what is wrong, what to write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final, Protocol

from dfc.compiler.plan import WITH_EXPRESSIONS, SqlBody
from dfc.compiler.plan_describe import Refused, Unsaid
from dfc.compiler.plan_names import name_of
from dfc.executor.bind import Bound
from dfc.executor.quoting import array_literal
from dfc.executor.session import Fields

UNKNOWN_RELATION: Final = "42P01"
UNKNOWN_SCHEMA: Final = "3F000"
UNKNOWN_COLUMN: Final = "42703"
_FIELD: Final = re.compile(r'column "([^"]+)" not found in data type ')
UNKNOWN_FUNCTION: Final = "42883"
UNKNOWN_OBJECT: Final = "42704"

NAMES_SHOWN_MAX: Final = 8
SIGNATURES_SHOWN_MAX: Final = 3
SIGNATURE_SHOWN_MAX: Final = 120
SIMILARITY_MIN: Final = 0.6

_UNKNOWN: Final = (UNKNOWN_RELATION, UNKNOWN_COLUMN, UNKNOWN_FUNCTION, UNKNOWN_OBJECT)

_OF_THE_STATE: Final = ("42501", "28", "53", "54", "55P03", "55006", "57", "58", "F0", "XX", "25", "40", "0B")
"""Refusals that depend on rights, or on how the server is just now. With two characters a whole class."""

_OF_TYPES: Final = ("42883", "42725", "42804", "42846", "42P18", "42P08", "42809", "42P22", "42P38", "22")
"""Refusals that may come from types that are only guessed."""

_NAMING: Final = (*_UNKNOWN, UNKNOWN_SCHEMA)
_HARMLESS: Final = ("42501", "42P07", "42710", "42723", "42P06")
_OF_THE_SERVER: Final = ("role", "extension", "language", "access method", "tablespace")
_OF_NAMES: Final = (UNKNOWN_RELATION, UNKNOWN_SCHEMA, UNKNOWN_COLUMN)

_NAME: Final = r'(?:[uU]&)?"(?:[^"]|"")+"|[^\W\d][\w$]*'
_PATH: Final = re.compile(rf"(?:{_NAME})(?:\s*\.\s*(?:{_NAME}))*")
_PART: Final = re.compile(_NAME)
_TOKEN: Final = re.compile(
    r"""\$\w+(?:\.(?:\w+|\*))?\??|(?:[eEnNbBxX]|[uU]&)?'(?:[^']|'')*'|\w+(?:\.\d+)?|"(?:[^"]|"")*"|[-+*/<>=~!@#%^&|`?]+|\S"""
)
_OPERATOR: Final = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_CLAUSE: Final = re.compile(r"(FOR (?:NO KEY |KEY )?(?:UPDATE|SHARE)) is not allowed|(ON CONFLICT) ")
_AGAIN: Final = ("more than once", "multiple assignments", "columns available but", "already exists")
_ARGUMENT: Final = re.compile(r"[(,]\s*(?:(?:IN|OUT|INOUT|VARIADIC)\s+)?(\w+)\s+\w")
_DEFAULT: Final = re.compile(r" DEFAULT (?:'(?:[^']|'')*'|[^,()']|\([^()]*\))+")
_OF_TYPE: Final = re.compile(r'not found in data type "?([^"]+)"?$')
_HINTED: Final = re.compile(r'"([^"]+)"')
_WORD: Final = re.compile(rf"{_NAME}")


class Ask(Protocol):
    """Runs a query of ours by its name, and gives its rows as texts; none when it fails."""

    def __call__(self, name: str, *values: str | None) -> list[tuple[str, ...]]: ...


class Catalog:
    """What there is in the database, asked for when something is refused."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: dict[tuple[str, ...], list[tuple[str, ...]]] = {}

    def forget(self) -> None:
        """Take note that the schema is another one now."""
        self._known.clear()

    def _rows(self, name: str, *values: str) -> list[tuple[str, ...]]:
        key = (name, *values)
        if key not in self._known:
            self._known[key] = self._ask(name, *values)
        return self._known[key]

    def schemas(self) -> list[str]:
        """The names of all schemas."""
        return [row[0] for row in self._rows("describe_schemas")]

    def relations(self, schema: str | None) -> list[str]:
        """The names of the relations of a schema, or of those that are visible."""
        return [row[0] for row in self._rows("describe_relations", schema or "")]

    def is_relation(self, name: str) -> bool:
        """Whether a name, as it stands in a statement, is that of a relation."""
        return bool(self._rows("describe_relation", name))

    def keys(self, name: str) -> list[tuple[frozenset[str], bool]] | None:
        """The unique indexes of a table: their columns, and whether there is nothing else to them.

        None for what is no table.
        """
        rows = self._rows("describe_keys", name)
        found = [(frozenset(json.loads(columns)), plain == "t") for columns, plain in rows if plain]
        return found if rows else None

    def columns(self, words: Iterable[str]) -> list[str]:
        """The names of the columns of all relations whose name is one of these words."""
        return [row[0] for row in self._rows("describe_columns", array_literal(sorted(set(words))))]

    def functions(self, schema: str | None) -> list[str]:
        """The names of the functions of a schema, or of those that are visible."""
        return [row[0] for row in self._rows("describe_functions", schema or "")]

    def signatures(self, name: str) -> list[str]:
        """The functions of a name, with their parameters."""
        return [row[0] for row in self._rows("describe_signatures", name)]

    def is_operator(self, name: str) -> bool:
        """Whether there is an operator of this name."""
        return bool(self._rows("describe_operator", name))

    def types(self) -> list[str]:
        """The names of the types that are visible."""
        return [row[0] for row in self._rows("describe_type_list")]

    def dynamic(self) -> tuple[str, ...]:
        """The functions that make objects whose names only a run knows."""
        return tuple([row[0] for row in self._rows("describe_dynamic")])

    def hidden(self, name: str, schema: str | None = None) -> str | None:
        """The schema with something of this name that the role may not use, where it would be looked for."""
        return next((row[0] for row in self._rows("describe_hidden", name, schema or "")), None)

    def makers(self, name: str) -> list[str]:
        """The functions whose text makes something of this name."""
        return [row[0] for row in self._rows("describe_makers", name)]


def refusal(
    fields: Fields, body: SqlBody, bound: Bound, unsure: Sequence[str], catalog: Catalog
) -> Refused | Unsaid:
    """A refusal by its place in the step's own statement."""
    start, copied = _place(fields, bound)
    if (
        body.parameters
        and body.kind not in WITH_EXPRESSIONS
        and not (copied and fields.sqlstate in _OF_NAMES)
    ):
        return Unsaid(why="it depends on a value", start=start, end=start)
    lacks_xml = fields.sqlstate == "0A000" and "XML" in fields.message  # how the server was built
    if lacks_xml or _is_one(fields.sqlstate, _OF_THE_STATE):
        return Unsaid(why=f"{fields.message} (SQLSTATE {fields.sqlstate})", start=start, end=start)
    if start is None:
        # Most utility statements are refused without a place, and some mistakes in queries; the message has
        # the name.
        start = _named_in(fields.message, body.sql)
    elif (field := _FIELD.match(fields.message)) is not None:
        # The place is that of the row, in front of its field.
        found = re.compile(rf'\.\s*"?({re.escape(field[1])})\b', re.IGNORECASE).search(body.sql, start)
        start = start if found is None else found.start(1) - (body.sql[found.start(1) - 1] == '"')
    elif fields.sqlstate in _OF_NAMES and body.sql[start : start + 1] == "(":
        # PostgreSQL points to the list that the name is in.
        start += _named_in(fields.message, body.sql[start:]) or 0
    parts = [] if start is None else names_at(body.sql, start)
    end = None if start is None else _end_of_token(body, start)
    token = body.sql[start:end] if start is not None else ""
    if (
        unsure
        and _is_one(fields.sqlstate, _OF_TYPES)
        and not _is_certain(fields, token, parts, copied, catalog)
    ):
        return Unsaid(why=f"the type of `{unsure[0]}` is not known before it runs")
    lost = _without_df(fields, parts, catalog)
    if lost is not None:
        return lost
    if fields.sqlstate == UNKNOWN_OBJECT and body.kind == "show" and "." in body.sql:
        return Unsaid(why="a setting of that name may be made in the session")
    named = _Named(fields, body, parts, catalog)
    wrong = named.wrong()
    if wrong is not None:
        start, end = wrong[1], wrong[2]
    argument = named.argument()
    if argument is not None:
        start, end = argument
    makers = [] if wrong is None else catalog.makers(wrong[0])
    if makers:
        return Unsaid(why=f"`{wrong[0] if wrong else ''}` may be made by `{makers[0]}`", start=start, end=end)
    hidden = catalog.hidden(wrong[0]) if wrong is not None and len(parts) == 1 else None
    if hidden is not None and fields.sqlstate != UNKNOWN_COLUMN:
        return Unsaid(why=f"this role may not use the schema `{hidden}`", start=start, end=end)
    return Refused(
        message=fields.message,
        sqlstate=fields.sqlstate,
        start=start,
        end=end,
        detail=fields.detail or "",
        hint=fields.hint or "",
        help=named.help(),
        name=named.name(),
    )


def of_ddl(answer: Refused | Unsaid) -> Refused | Unsaid:
    """A refusal of a statement that makes or changes objects, run in a scratch database.

    It says nothing against the statement where it is about roles and rights, software that is not there, or
    an object that is there already.
    """
    if isinstance(answer, Unsaid):
        return answer
    lacks = answer.sqlstate[:2] in ("42", "0A") and answer.message.startswith(_OF_THE_SERVER)
    needs_superuser = answer.sqlstate == "42P13" and answer.message.endswith("cannot be internal")
    harmless = answer.sqlstate in _HARMLESS or lacks or needs_superuser
    if harmless or answer.sqlstate[:2] not in ("42", "3F", "22", "0A"):
        return Unsaid(
            why=f"{answer.message} (SQLSTATE {answer.sqlstate})", start=answer.start, end=answer.end
        )
    return answer


def _is_one(sqlstate: str, of: Sequence[str]) -> bool:
    return sqlstate in of or sqlstate[:2] in of


def _place(fields: Fields, bound: Bound) -> tuple[int | None, bool]:
    """The code point of the step's SQL that PostgreSQL points to, and whether that is the author's text."""
    if fields.position is None:
        return None, False
    position = fields.position - 1
    for piece in bound.pieces:
        if piece.start <= position < piece.end:
            return piece.source_start + (position - piece.start if piece.copied else 0), piece.copied
    last = bound.pieces[-1].source_end if bound.pieces else 0
    return max(0, last - 1), True  # at the end of the input


def _named_in(message: str, sql: str) -> int | None:
    """Where in a statement the name begins that a message has in quotes, or in front of brackets.

    What is there too often is its last one. A clause is named as it is written.
    """
    clause = _CLAUSE.match(message)
    quoted = re.search(r'"([^"]+)"|([\w$.]+)\(', message)
    if clause is None and quoted is None:
        return None
    name = re.escape(quoted[1] or quoted[2]) if quoted is not None else ""
    if clause is not None:
        name = r"\s+".join((clause[1] or clause[2]).split())
    found = [each.start() for each in re.finditer(rf'(?<![\w$"])"?{name}(?![\w$])', sql, re.IGNORECASE)]
    if not found:
        return None
    return found[-1 if any(words in message for words in _AGAIN) else 0]


def _misnamed(message: str, sql: str, start: int, signatures: Sequence[str]) -> tuple[str, int] | None:
    """The name of an argument that no function has, and where it is given."""
    known = {name for each in signatures for name in _ARGUMENT.findall(each)}
    for name in re.findall(r"(\w+) =>", message):
        place = re.compile(rf"(?<![\w$]){name}(?=\s*(?:=>|:=))", re.IGNORECASE).search(sql, start)
        if known and name not in known and place is not None:
            return name, place.start()
    return None


def near_relation(name: str, schema: str | None, catalog: Catalog) -> str:
    """Help for a relation that does not exist; empty where none is near."""
    return _near(name, catalog.relations(schema), name)


def names_at(sql: str, start: int) -> list[tuple[str, int, int]]:
    """The parts of the dotted name at an offset, folded, with their places."""
    path = _PATH.match(sql, start)
    if path is None:
        return []
    return [(name_of(part[0]), part.start(), part.end()) for part in _PART.finditer(sql, start, path.end())]


def _words(sql: str) -> list[str]:
    return [name_of(word) for word in _WORD.findall(sql)]


def _end_of_token(body: SqlBody, start: int) -> int:
    for parameter in body.parameters:
        if parameter.start <= start < parameter.end:
            return parameter.end
    token = _TOKEN.match(body.sql, start)
    return token.end() if token is not None else min(start + 1, len(body.sql))


def _is_certain(
    fields: Fields, token: str, parts: Sequence[tuple[str, int, int]], copied: bool, catalog: Catalog
) -> bool:
    """Whether a refusal holds whatever the types are that are not known."""
    if fields.sqlstate != UNKNOWN_FUNCTION:
        return copied and fields.sqlstate.startswith("22")
    if not parts:
        return _OPERATOR.fullmatch(token) is not None and not catalog.is_operator(token)
    return not fields.message.startswith("operator") and not catalog.signatures(parts[-1][0])


def _without_df(fields: Fields, parts: Sequence[tuple[str, int, int]], catalog: Catalog) -> Unsaid | None:
    """Nothing is said against df's own functions where they are not installed."""
    missing = fields.sqlstate in (UNKNOWN_SCHEMA, UNKNOWN_FUNCTION, UNKNOWN_RELATION)
    own = (parts[0][0] if parts else "") in ("df", "df_markers") or '"df"' in fields.message
    if missing and own and "df" not in catalog.schemas():
        return Unsaid(why="the df schema is not installed in this database")
    return None


class _Named:
    """The name that a refusal is about, and names that are near."""

    def __init__(
        self, fields: Fields, body: SqlBody, parts: Sequence[tuple[str, int, int]], catalog: Catalog
    ) -> None:
        self._fields = fields
        self._body = body
        self._parts = parts
        self._catalog = catalog

    def wrong(self) -> tuple[str, int, int] | None:
        """The part of the name that does not exist."""
        parts, state = self._parts, self._fields.sqlstate
        if not parts or self._is_operator():
            return None
        match state:
            case "42P01" | "42883" | "42704" if len(parts) > 1:
                is_reference = state == UNKNOWN_RELATION and not self._is_relation()
                first = is_reference or self._schema() not in self._catalog.schemas()
                return parts[0] if first else parts[-1]
            case "42P01" | "42883" | "42704" | "42703":
                return parts[-1]
            case "3F000":
                return parts[0]
            case _:
                return None

    def argument(self) -> tuple[int, int] | None:
        """Where an argument is given by a name that no function of this name has."""
        if self._fields.sqlstate != UNKNOWN_FUNCTION or not self._parts or self._is_operator():
            return None
        name, start, _ = self._parts[-1]
        found = _misnamed(self._fields.message, self._body.sql, start, self._catalog.signatures(name))
        return None if found is None else (found[1], found[1] + len(found[0]))

    def name(self) -> str | None:
        """What is unknown, None where something else is wrong."""
        wrong = self.wrong()
        return None if wrong is None else wrong[0]

    def help(self) -> str:
        """What to write instead; empty where nobody knows."""
        wrong = self.wrong()
        if wrong is None:
            return ""
        name = wrong[0]
        if len(self._parts) > 1 and wrong == self._parts[0] and self._fields.sqlstate != UNKNOWN_COLUMN:
            return _near(name, [*self._catalog.schemas(), *_words(self._body.sql)], name)
        match self._fields.sqlstate:
            case "42P01":
                return _near(name, self._catalog.relations(self._schema()), name)
            case "3F000":
                return _near(name, self._catalog.schemas(), name)
            case "42703":
                return self._column(name)
            case "42883":
                return self._function(name)
            case "42704" if not self._fields.message.startswith("type "):
                return ""
            case "42704":
                return _near(name, self._catalog.types(), name)
            case _:
                return ""

    def _is_operator(self) -> bool:
        # An operator class or family has a name as a table has, and another SQLSTATE.
        return self._fields.sqlstate == UNKNOWN_FUNCTION and self._fields.message.startswith("operator ")

    def _is_relation(self) -> bool:
        """Whether a relation is unknown, and not the alias in front of a column."""
        return "FROM" not in self._fields.message

    def _schema(self) -> str | None:
        return self._parts[-2][0] if len(self._parts) > 1 else None

    def _column(self, name: str) -> str:
        hinted = _HINTED.findall(self._fields.hint or "")
        if hinted:
            return f"did you mean `{hinted[0]}`?"
        columns = self._catalog.columns(_words(self._body.sql))
        near = get_close_matches(name, columns, n=1, cutoff=SIMILARITY_MIN)
        if near and near[0] != name:
            return f"did you mean `{near[0]}`?"
        if not columns:
            return ""
        inside = _OF_TYPE.search(self._fields.message)
        if inside is not None:
            columns = self._catalog.columns([inside[1]])
            near = get_close_matches(name, columns, n=1, cutoff=SIMILARITY_MIN)
            if near:
                return f"did you mean `{near[0]}`?"
        if not columns:
            return ""
        shown = ", ".join(f"`{column}`" for column in columns[:NAMES_SHOWN_MAX])
        more = ", ..." if len(columns) > NAMES_SHOWN_MAX else ""
        return f"write one of the columns {shown}{more}"

    def _function(self, name: str) -> str:
        signatures = self._catalog.signatures(name)
        misnamed = _misnamed(self._fields.message, self._body.sql, 0, signatures) if signatures else None
        if misnamed is not None:
            known = [one for each in signatures for one in _ARGUMENT.findall(each)]
            near = get_close_matches(misnamed[0], known, n=1, cutoff=SIMILARITY_MIN)
            if near:
                return f"did you mean `{near[0]}`?"
        if signatures:
            shown = ", ".join(f"`{_short(each)}`" for each in signatures[:SIGNATURES_SHOWN_MAX])
            return f"call it as {shown}, with casts where types differ"
        return _near(name, self._catalog.functions(self._schema()), name)


def _short(signature: str) -> str:
    """A function; without its defaults, and without the end of its arguments, where these are many."""
    text = signature if len(signature) <= SIGNATURE_SHOWN_MAX else _DEFAULT.sub("", signature)
    if len(text) <= SIGNATURE_SHOWN_MAX:
        return text
    return f"{text[:SIGNATURE_SHOWN_MAX].rpartition(',')[0]}, ...)"


def _near(name: str, names: Sequence[str], wrong: str) -> str:
    near = get_close_matches(name, [each for each in names if each != wrong], n=1, cutoff=SIMILARITY_MIN)
    return f"did you mean `{near[0]}`?" if near else ""
