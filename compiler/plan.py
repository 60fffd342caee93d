"""The plan: what the executor runs. This is the narrow waist between the compiler and the executor.

A plan is a DAG of nodes. Ids are readable paths, shared by people and checkpoints. Everything that the
executor needs to know about a statement is here; it never parses SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PLAN_FORMAT = 1
COMPILER_VERSION = 1


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
    """What a reference wants of the result it names: one value, the rows as a table, or their number."""

    VALUE = "value"
    ROWS = "rows"
    ROW_COUNT = "row_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A reference in a statement: `sql[start:end]` stands for a value of the result of node `source`.

    `name` is the name as written (for messages and for the alias of a row set). `column` is None for the
    first column. `optional` (`?`) turns no rows and NULL into NULL instead of a failure. `aliased` says
    that the author gave a row set an alias of their own.
    """

    name: str
    source: str
    use: Use
    start: int
    end: int
    column: str | None = None
    optional: bool = False
    aliased: bool = False


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlNode:
    """A SQL step. `used` says that another node refers to its result. `after` holds at most one id."""

    id: str
    after: tuple[str, ...]
    body: SqlBody
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request with constant parts. `headers` are name and value, in order."""

    url: str
    method: str
    body: str | None
    headers: tuple[tuple[str, str], ...]
    timeout_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpNode:
    """An HTTP step: `<id>/request` computes the requests (only where `request` is SQL).

    `<id>/response` sends them. `many`: the result is an array with one response for each row of the
    request's SQL.
    """

    id: str
    after: tuple[str, ...]
    request: SqlBody | Request
    many: bool = False
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinNode:
    """Waits for all branches (one or more); its result is the array of theirs.

    `after` are their last nodes, in written order.
    """

    id: str
    after: tuple[str, ...]
    bindings: tuple[str, ...] = ()
    used: bool = False


Node = SqlNode | HttpNode | JoinNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A workflow, compiled.

    `nodes` are in a topological order; `result` is the node whose result is the workflow's: the last.
    """

    nodes: tuple[Node, ...]
    result: str
    format: int = PLAN_FORMAT
