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

# Whoever reads a plan finds all of it here.
from dfc.compiler.plan_policy import DEFAULT_POLICY as DEFAULT_POLICY
from dfc.compiler.plan_policy import Delivery as Delivery
from dfc.compiler.plan_policy import Duration as Duration
from dfc.compiler.plan_policy import OnError as OnError
from dfc.compiler.plan_policy import Policy as Policy
from dfc.compiler.plan_policy import RateLimit as RateLimit
from dfc.compiler.plan_policy import is_database as is_database
from dfc.compiler.plan_statement import INPUT as INPUT
from dfc.compiler.plan_statement import WITH_EXPRESSIONS as WITH_EXPRESSIONS
from dfc.compiler.plan_statement import Form as Form
from dfc.compiler.plan_statement import Literal as Literal
from dfc.compiler.plan_statement import Parameter as Parameter
from dfc.compiler.plan_statement import Returns as Returns
from dfc.compiler.plan_statement import SqlBody as SqlBody
from dfc.compiler.plan_statement import Use as Use
from dfc.compiler.plan_statement import error_source as error_source
from dfc.compiler.plan_statement import item_source as item_source
from dfc.compiler.plan_statement import rows_source as rows_source
from dfc.compiler.plan_statement import step_of_error as step_of_error

PLAN_FORMAT = 3
READABLE_FORMATS = (1, 2, 3)
"""Plans of these formats can be read: instances keep the plan that they were started with."""
COMPILER_VERSION = 5


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
