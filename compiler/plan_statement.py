"""A statement of a plan: its text, how to send it, and what its references mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """How the executor has to send a statement.

    `WITH`: the statement may stand inside `WITH step AS (...)`, so effect and checkpoint are one prepared
    statement. `QUERY` is a SELECT over tables, sent through df._rows so that PostgreSQL may run it in
    parallel. `EXECUTE` is everything else that may run in a transaction. `AUTOCOMMIT` must run outside one.
    """

    WITH = "with"
    QUERY = "query"
    EXECUTE = "execute"
    AUTOCOMMIT = "autocommit"


class Returns(StrEnum):
    """What a statement gives: rows, or the number of rows it affected."""

    ROWS = "rows"
    COUNT = "count"


class Use(StrEnum):
    """What a reference wants of the result it names.

    One value, the rows as a table or as a JSON array of objects, their number, or a field (`column`) of the
    error of a step that may fail.
    """

    VALUE = "value"
    ROWS = "rows"
    JSON = "json"
    ROW_COUNT = "row_count"
    ERROR = "error"


_QUERIES = frozenset({"select", "values", "insert", "update", "delete", "merge"})
WITH_EXPRESSIONS = _QUERIES | {"create table as", "explain", "call", "execute", "declare cursor"}
"""Kinds of statements in which an expression can stand for a literal, and that take parameters; in others
PostgreSQL may want a constant."""

INPUT = "$input"
"""The source of `$input`. No node has such an id, nor those that `item_source` and `error_source` make."""


def item_source(map_id: str) -> str:
    """The source of references to the row that a map's body runs for."""
    return f"{map_id}[]"


def error_source(try_id: str) -> str:
    """The source of `$error` in the catch part of a try."""
    return f"{try_id}!"


def step_of_error(source: str) -> str | None:
    """The id that `error_source` made this source of; None where it is another source."""
    return source[:-1] if source.endswith("!") else None


def rows_source(key: str) -> str:
    """What the items of a map go under where a reference wants them as rows; its value is under the key."""
    return f"{key}*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A reference in a statement: `sql[start:end]` stands for a value of the result of node `source`.

    `name` is the name as written (for messages and for the alias of a row set). `type` is what a field of
    `$input` is declared to be; None: as its JSON value is. `column` is None for the
    first column. `optional` (`?`) turns no rows and NULL into NULL instead of a failure. `aliased` says
    that the author gave a row set an alias of their own. `identifier`: it stands for the name of an object,
    in a statement that takes no parameters.

    `source` is the latest written node that may be meant, and `otherwise` are the earlier ones, later ones
    first. The one counts that ran last: of two, the one that ran in the later round of the loops around
    both; in the same round the one written later, and so of two whose results have both been carried over
    from earlier rounds. Without `optional` one of them has certainly run.
    """

    name: str
    source: str
    use: Use
    start: int
    end: int
    column: str | None = None
    optional: bool = False
    aliased: bool = False
    otherwise: tuple[str, ...] = ()
    identifier: bool = False
    type: str | None = None

    @property
    def key(self) -> str:
        """What the value goes under: two references with the same nodes to choose from have the same
        value.
        """
        return "|".join((self.source, *self.otherwise)) if self.otherwise else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A literal with references in it: `sql[start:end]`, quotes and prefix included.

    It becomes a text expression that joins its parts. `type_start` is where the name of its type begins
    (`interval '$n days'`), None for a plain literal. `escapes` are the offsets of each `$$name` that stands
    for the text `$name`; a literal may have those alone. Where PostgreSQL's grammar takes nothing but a
    constant (`COMMENT ON TABLE t IS $x`), a literal is exactly one reference, without quotes; with
    `type_start` at its `start` a number can stand there (`RESTART WITH $n`), if the value is one.
    """

    start: int
    end: int
    type_start: int | None = None
    escapes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlBody:
    """A statement: its text without trailing semicolon or comment, and how to send it.

    `kind` is its command tag in lower case (`select`, `insert`, `create table`). In the text a reference
    keeps its written form; the executor replaces it at the offsets (code points) of `parameters`, which
    are in ascending order.
    """

    sql: str
    kind: str
    form: Form
    returns: Returns
    parameters: tuple[Parameter, ...] = ()
    literals: tuple[Literal, ...] = ()
