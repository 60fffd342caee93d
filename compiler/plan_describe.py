"""What a statement gives, as far as it is known before it runs, and who can say so.

The flow (`plan_types`) goes through a plan and asks a describer about each statement. A describer knows a
schema: the written text alone, DDL, or a database. What nobody can say is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from dfc.compiler.plan_statement import Parameter, SqlBody, Use


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result. `type` is as `format_type` writes it (`bigint`, `app.mood[]`); None: not known.

    Names are those of the stored result: of two with the same name the second is `<name>_2`.
    """

    name: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows with these columns; None: which columns is not known."""

    columns: tuple[Column, ...] | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """A number of affected rows: a statement without rows."""


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value. `fields`: it is an object with exactly these fields, None: not known.

    Types of fields are `boolean`, `numeric`, `text` and `jsonb`.
    `type` is what the whole of it is as a parameter, None where that depends on the value.
    """

    fields: tuple[Column, ...] | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """A JSON array with one element for each of several branches."""

    elements: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """The result of a map: one such element for each item."""

    element: Shape


@dataclass(frozen=True, slots=True)
class Batch:
    """Several rows as one value, the item of a map with `batch_size`."""

    columns: tuple[Column, ...] | None = None


@dataclass(frozen=True, slots=True)
class Either:
    """One of several, and only the run tells which."""

    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can say."""


Shape = Rows | Count | Json | Array | Items | Batch | Either | Unknown

UNKNOWN: Final = Unknown()
NULL: Final = Json(fields=(), type=None)
"""JSON null: it has no field. A statement has the word NULL in its place, of no type."""

_MAP_COLUMNS: Final = (
    Column("item", "bigint"),
    Column("status", "text"),
    Column("result", "jsonb"),
    Column("error", "jsonb"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of a plan, as a describer gets it.

    `node` is the id of its node. `sources` are what its references stand for, by `Parameter.key`. `database`
    is that of the step where it is not the workflow's; `settings` are those that the step makes for itself.
    `made` are statements of steps in front of it, in order: what they make is there when it runs.
    """

    node: str
    body: SqlBody
    sources: Mapping[str, Shape] = field(default_factory=dict["str", "Shape"])
    database: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    made: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """The statement is in order and gives this."""

    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """PostgreSQL would refuse the statement, with this message and SQLSTATE.

    `start` and `end` are offsets (code points) in `body.sql`, None: no place of its own. `help` is what to
    write instead, one imperative sentence. `name` is the name that is unknown, as written without quotes
    (`app.users`, `u.emial`, `lenght`), where one is: objects that the workflow makes itself are no errors.
    `makers` are the functions of the schema that make objects whose names only a run knows. `with_made`: what
    steps in front of it make (`Statement.made`) has been there.
    """

    message: str
    sqlstate: str
    start: int | None = None
    end: int | None = None
    detail: str = ""
    hint: str = ""
    help: str = ""
    name: str | None = None
    makers: tuple[str, ...] = ()
    with_made: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaid:
    """Nothing can be said of the statement, for this reason: a note.

    `shape` is what is known all the same.
    """

    why: str
    shape: Shape = UNKNOWN
    start: int | None = None
    end: int | None = None


Answer = Described | Refused | Unsaid | None
"""None: nothing can be said, and there is nothing to say about that."""


class Describer(Protocol):
    """Who knows what statements give."""

    def describe(self, statement: Statement) -> Answer:
        """What the statement gives, or why it is refused. Never runs it."""
        ...


# The same mistake has the same code, whoever finds it.

OF_NAMES: Final = ("42P01", "3F000", "42703", "42883", "42704")
"""SQLSTATEs of what does not exist."""

UNKNOWN_TABLE: Final = "DF401"
UNKNOWN_COLUMN: Final = "DF402"
UNKNOWN_FUNCTION: Final = "DF403"
WRONG_TYPES: Final = "DF404"
REFUSED: Final = "DF405"
NO_SUCH_RESULT: Final = "DF406"
NOT_ANALYSED: Final = "DF410"

_CODES: Final = {
    "42P01": UNKNOWN_TABLE,
    "3F000": UNKNOWN_TABLE,
    "42703": UNKNOWN_COLUMN,
    "42883": UNKNOWN_FUNCTION,
    "42804": WRONG_TYPES,
    "42846": WRONG_TYPES,
    "42P18": WRONG_TYPES,
    "42P08": WRONG_TYPES,
    "42725": WRONG_TYPES,
    "42809": WRONG_TYPES,
    "22P02": WRONG_TYPES,
    "22007": WRONG_TYPES,
    "22008": WRONG_TYPES,
    "22003": WRONG_TYPES,
}


def code_of(refused: Refused) -> str:
    """The code of a refusal. An operator that does not exist for its types is a matter of types."""
    if refused.sqlstate == "42883" and refused.message.startswith("operator "):
        return WRONG_TYPES
    return _CODES.get(refused.sqlstate, REFUSED)


# What a reference finds in a shape


@dataclass(frozen=True, slots=True)
class Found:
    """It is there, with this type (None: not known)."""

    type: str | None


@dataclass(frozen=True, slots=True)
class Absent:
    """It is not there; `names` are what is. `certain`: in no case (else in some)."""

    names: tuple[str, ...]
    certain: bool = True


def alternatives(shape: Shape) -> Iterator[Shape]:
    """The shapes that one may be, flat."""
    todo = [shape]
    while todo:
        here = todo.pop()
        if isinstance(here, Either):
            todo += reversed(here.shapes)
        else:
            yield here


def field_of(shape: Shape, name: str) -> Found | Absent:
    """What `$step.name` finds."""
    found = [_field(each, name) for each in alternatives(shape)]
    absent = [each for each in found if isinstance(each, Absent)]
    there = [each.type for each in found if isinstance(each, Found)]
    if absent:
        names = tuple(dict.fromkeys(name for each in absent for name in each.names))
        return Absent(names, certain=not there)
    return Found(_common(there))


def _field(shape: Shape, name: str) -> Found | Absent:
    match shape:
        case Rows(columns=None) | Unknown() | Json(fields=None):
            return Found(None)
        case Rows(columns=tuple() as columns) | Json(fields=tuple() as columns):
            for column in columns:
                if column.name == name:
                    return Found(column.type)
            return Absent(tuple([column.name for column in columns]))
        case Items():
            # What a map gives is an array, or for more items than fit an object with these fields.
            return Found("numeric") if name in ("count", "failed") else Absent(())
        case _:
            return Absent(())


def either(shapes: Iterable[Shape]) -> Shape:
    """One of these shapes, each named once."""
    found = tuple(dict.fromkeys(each for shape in shapes for each in alternatives(shape)))
    return found[0] if len(found) == 1 else Either(found)


def column_keys(columns: Sequence[str]) -> tuple[str, ...]:
    """Names that are unique: a repeated one gets `_2`, `_3`, as results are shown (df._result_json)."""
    keys: list[str] = []
    taken: set[str] = set()
    written = set(columns)
    last: dict[str, int] = {}
    for column in columns:
        key, suffix = column, 1
        while key in taken or (suffix > 1 and key in written):
            # What was not free before will not be.
            suffix = max(suffix, last.get(column, 1)) + 1
            key = f"{column}_{suffix}"
        last[column] = suffix
        keys.append(key)
        taken.add(key)
    return tuple(keys)


def _common(types: Sequence[str | None]) -> str | None:
    return types[0] if types and all(each == types[0] for each in types) else None


def type_of(parameter: Parameter, shape: Shape) -> str | None:
    """The type of the value that a reference stands for (not of a row set); None: not known."""
    if parameter.type is not None:
        return parameter.type
    match parameter.use:
        case Use.ROW_COUNT:
            return "bigint"
        case Use.JSON:
            return "jsonb"
        case Use.ERROR:
            return "text"
        case Use.VALUE | Use.ROWS:
            pass
    if parameter.column is not None:
        found = field_of(shape, parameter.column)
        return found.type if isinstance(found, Found) else None
    return _common([_first(each) for each in alternatives(shape)])


def _first(shape: Shape) -> str | None:
    match shape:
        case Rows(columns=(first, *_)):
            return first.type
        case Rows(columns=()) | Count():
            return "bigint"
        case Array() | Items() | Batch():
            return "jsonb"
        case Json(type=type):
            return type
        case _:
            return None


def rows_of(shape: Shape) -> tuple[Column, ...] | None:
    """The columns of `FROM $step.*`; None: not known."""
    found = [_rows(each) for each in alternatives(shape)]
    first = found[0] if found else None
    return first if all(each == first for each in found) else None


def _rows(shape: Shape) -> tuple[Column, ...] | None:
    match shape:
        case Rows(columns=columns) | Batch(columns=columns):
            return columns
        case Count():
            return ()
        case Items():
            return _MAP_COLUMNS
        case Array() | Json():
            return (Column("value", "jsonb"),)
        case _:
            return None
