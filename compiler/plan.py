"""The plan: what the executor runs. This is the narrow waist between the compiler and the executor.

A plan is a DAG of nodes; a node with structure (if, loop, race, map, try, ...) holds blocks, which are DAGs
themselves. Ids are readable and unique in the whole plan; with the frames of loops and maps in front they are
the paths that people and checkpoints share. Everything that the executor needs to know about a statement is
here; it never parses SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

PLAN_FORMAT = 3
READABLE_FORMATS = (1, 2, 3)
"""Plans of these formats can be read: instances keep the plan that they were started with."""
COMPILER_VERSION = 5


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
class Duration:
    """An interval as PostgreSQL keeps it. In seconds a month has 30 days, as in `extract(epoch ...)`."""

    months: int = 0
    days: int = 0
    microseconds: int = 0

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return (self.months * 30 + self.days) * 86_400 + self.microseconds / 1e6


class OnError(StrEnum):
    """What the failure of a step, or of an item of a map, does to what comes after it."""

    FAIL = "fail"
    CONTINUE = "continue"


class Delivery(StrEnum):
    """What happens to an attempt that a crash has left without an outcome: repeated, or given up."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `count` beginnings in `seconds`, over all workers, for the steps that share a key."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a step is attempted, and what its failure means. None: not given, the default of its kind counts.

    `retry_on` and `no_retry_on` hold SQLSTATEs (`40001`), classes (`40`), HTTP status (`503`, `5xx`) and the
    words `timeout`, `transient`, `ambiguous`, `all`. `settings` are set for the statement's transaction.
    `database` is where it runs; None: where its instance does.
    """

    max_attempts: int | None = None
    backoff: Duration | None = None
    max_backoff: Duration | None = None
    jitter: bool | None = None
    retry_on: tuple[str, ...] | None = None
    no_retry_on: tuple[str, ...] | None = None
    timeout: Duration | None = None
    on_error: OnError = OnError.FAIL
    rate_limit: RateLimit | None = None
    rate_key: str | None = None
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    database: str | None = None
    isolation: str | None = None
    settings: tuple[tuple[str, str], ...] = ()
    retry_unsafe: bool = False
    retry_after_max: Duration | None = None


DEFAULT_POLICY = Policy()


def is_database(name: str) -> bool:
    """Whether a database can have this name."""
    return 0 < len(name.encode("utf-8", "surrogatepass")) <= 63 and "\0" not in name


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlNode:
    """A SQL step. `used` says that another node refers to its result. `after` holds at most one id."""

    id: str
    after: tuple[str, ...]
    body: SqlBody
    bindings: tuple[str, ...] = ()
    used: bool = False
    policy: Policy = DEFAULT_POLICY


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a multipart request; its data in base64."""

    name: str
    data_b64: str
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request with constant parts. `headers` are name and value, in order.

    With `parts` it is a multipart/form-data request, and has no body.
    """

    url: str
    method: str
    body: str | None
    headers: tuple[tuple[str, str], ...]
    timeout_seconds: int
    parts: tuple[Part, ...] = ()


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
    policy: Policy = DEFAULT_POLICY


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinNode:
    """Waits for all branches (one or more); its result is the array of theirs.

    `after` are their last nodes, in written order.
    """

    id: str
    after: tuple[str, ...]
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueNode:
    """A reference that stands alone: its result is that value. It has no activation.

    `parameter` has the offsets 0 and the length of the reference as written.
    """

    id: str
    after: tuple[str, ...]
    parameter: Parameter
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a plan that a node with structure runs.

    `nodes` are in a topological order, and `after` names nodes of the same block only; `result` is the last.
    References may go to nodes of the blocks around it, and of blocks that have completed before.
    """

    nodes: tuple[Node, ...]
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IfNode:
    """Runs `condition`, then the branch that its truth calls for. Without `otherwise`, false gives null."""

    id: str
    after: tuple[str, ...]
    condition: Block
    then: Block
    otherwise: Block | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopNode:
    """Repeats `body`; `condition` is looked at after each round, None repeats for ever.

    Its result is that of the last body, or the value of the break that ended it. `keep_undos`: the undos of
    all rounds stay registered, instead of ending with their round. `every`: it repeats the body until its own
    result is true, and waits so long between two rounds (there is no `condition` then).
    """

    id: str
    after: tuple[str, ...]
    body: Block
    condition: Block | None = None
    keep_undos: bool = False
    every: Duration | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakNode:
    """Leaves the loop `loop` (an id).

    Its value is JSON text, or what a query gives: one row, one json column.
    """

    id: str
    after: tuple[str, ...]
    loop: str
    value: str | SqlBody = "null"
    bindings: tuple[str, ...] = ()
    used: bool = False


class ArmsMode(StrEnum):
    """What ends a group of arms: the first that succeeds, or all of them, or the first that fails."""

    RACE = "race"
    ALL_OR_CANCEL = "all_or_cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmsNode:
    """Runs `arms` at the same time: a race, or a join or fan-out with `on_failure => 'cancel'`.

    The result of a race is the winner's, of the other the array of all.
    """

    id: str
    after: tuple[str, ...]
    arms: tuple[Block, ...]
    mode: ArmsMode
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNode:
    """Runs `body` once for each row (or each `batch_size` rows) of `items`.

    `items` is a query, or a reference: without a column the whole result is meant, its rows or the elements
    of its JSON array. The row is `item_source(id)` for the body, under the name `name`.
    """

    id: str
    after: tuple[str, ...]
    items: SqlBody | Parameter
    body: Block
    name: str = "item"
    max_parallel: int = 16
    batch_size: int = 1
    on_error: OnError = OnError.FAIL
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomicNode:
    """Runs `body` (a chain of SQL steps and ifs over them) in one transaction, checkpoints included."""

    id: str
    after: tuple[str, ...]
    body: Block
    bindings: tuple[str, ...] = ()
    used: bool = False
    policy: Policy = DEFAULT_POLICY


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryNode:
    """Runs `body` again as a whole when it fails, as `policy` says (`retry_on` None: after any error)."""

    id: str
    after: tuple[str, ...]
    body: Block
    policy: Policy
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutNode:
    """Runs `body`; when it has not come to its end after `duration`, it is stopped, and `otherwise` runs, or
    the node fails with the code `timeout`."""

    id: str
    after: tuple[str, ...]
    body: Block
    duration: Duration
    otherwise: Block | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TryNode:
    """Runs `body`; when it fails, `catch`, where `error_source(id)` is the error; `final` after either."""

    id: str
    after: tuple[str, ...]
    body: Block
    catch: Block
    final: Block | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensateNode:
    """Runs `body`; `undo` runs when the workflow around it fails or is cancelled after that."""

    id: str
    after: tuple[str, ...]
    body: Block
    undo: Block
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantNode:
    """A value that is known, as JSON text. It has no activation."""

    id: str
    after: tuple[str, ...]
    value: str
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepNode:
    """Waits for a length of time: one that is known, or what a query gives.

    The query (`<id>/request`) gives one row with one column, a number of seconds.
    """

    id: str
    after: tuple[str, ...]
    duration: Duration | SqlBody
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UntilNode:
    """Waits until a moment: a text that PostgreSQL reads as a timestamptz, in the time zone of the start.

    Or what a query (`<id>/request`) gives: one row with one column of type timestamptz.
    """

    id: str
    after: tuple[str, ...]
    at: str | SqlBody
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleNode:
    """Waits for the next tick of a cron expression that is later than the beginning of the wait.

    `time_zone` is an IANA name; None is UTC.
    """

    id: str
    after: tuple[str, ...]
    cron: str
    time_zone: str | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalNode:
    """Waits for a signal of this name; `timeout` None waits for ever."""

    id: str
    after: tuple[str, ...]
    name: str
    timeout: Duration | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNode:
    """Runs a defined workflow as an instance of its own, and waits for its end; its result is that one's.

    `input` is JSON text (None: no input), or a query (`<id>/request`): one row with one jsonb column.
    """

    id: str
    after: tuple[str, ...]
    workflow: str
    input: str | SqlBody | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False
    policy: Policy = DEFAULT_POLICY


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceNode:
    """Waits for the end of another instance, however that comes.

    `instance` is its id, or a query (`<id>/request`) that gives one row with one text column.
    """

    id: str
    after: tuple[str, ...]
    instance: str | SqlBody
    timeout: Duration | None = None
    bindings: tuple[str, ...] = ()
    used: bool = False


Timed = SleepNode | UntilNode | ScheduleNode
"""What waits for a moment."""

Waiting = Timed | SignalNode | CallNode | InstanceNode
"""What waits for something outside of its instance."""

Leaf = SqlNode | HttpNode | JoinNode | ValueNode | BreakNode | ConstantNode | Waiting
Structure = (
    IfNode | LoopNode | ArmsNode | MapNode | AtomicNode | RetryNode | TimeoutNode | TryNode | CompensateNode
)
Node = Leaf | Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A workflow, compiled.

    `nodes` are in a topological order; `result` is the node whose result is the workflow's: the last.
    """

    nodes: tuple[Node, ...]
    result: str
    format: int = PLAN_FORMAT


def blocks_of(node: Node) -> tuple[tuple[str, Block], ...]:
    """The blocks of a node with their roles, in written order; none for a leaf."""
    match node:
        case IfNode():
            last = () if node.otherwise is None else (("else", node.otherwise),)
            return (("condition", node.condition), ("then", node.then), *last)
        case LoopNode():
            last = () if node.condition is None else (("while", node.condition),)
            return (("body", node.body), *last)
        case ArmsNode():
            return tuple([(f"branch {number}", arm) for number, arm in enumerate(node.arms, start=1)])
        case MapNode() | AtomicNode() | RetryNode():
            return (("body", node.body),)
        case TimeoutNode():
            last = () if node.otherwise is None else (("else", node.otherwise),)
            return (("body", node.body), *last)
        case TryNode():
            last = () if node.final is None else (("finally", node.final),)
            return (("body", node.body), ("catch", node.catch), *last)
        case CompensateNode():
            return (("body", node.body), ("undo", node.undo))
        case (
            SqlNode()
            | HttpNode()
            | JoinNode()
            | ValueNode()
            | BreakNode()
            | ConstantNode()
            | SleepNode()
            | UntilNode()
            | ScheduleNode()
            | SignalNode()
            | CallNode()
            | InstanceNode()
        ):
            return ()
        case _:
            assert_never(node)


def every_node(nodes: Sequence[Node]) -> Iterator[Node]:
    """The nodes and those of all blocks in them, each node before those of its blocks."""
    todo = list(reversed(nodes))
    while todo:
        node = todo.pop()
        yield node
        for _, block in reversed(blocks_of(node)):
            todo += reversed(block.nodes)
