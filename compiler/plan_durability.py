"""How often each step of a plan happens when processes die, and what a death does there.

A pure function of the plan. The class of a step says what a death makes of one run of it: a round of a loop,
an item of a map, an attempt of `df.retry` are runs of their own (`often`). What cannot be told from the plan
is said to be untold, and never guessed. docs/reference/durability.md has each kind with the tests that show
it; `dfc crashtest` finds the same by experiment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final, assert_never

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    AtomicNode,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Delivery,
    Form,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    Plan,
    Policy,
    Request,
    RetryNode,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    ValueNode,
    Waiting,
)
from dfc.compiler.plan_calls import words
from dfc.compiler.plan_deaths import DEATHS, WORDS, How
from dfc.compiler.plan_effects import Effects, effects_of
from dfc.compiler.plan_runs import often
from dfc.compiler.plan_shape import Nest, Place, nest


class Times(StrEnum):
    """What a death makes of one run of a step."""

    EXACTLY_ONCE = "exactly once"
    AT_LEAST_ONCE = "at least once"
    AT_MOST_ONCE = "at most once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A step, or a part of one with a record of its own (`put/request`), or a node with structure.

    `times` is None where nothing of the user's happens there: what is recorded then is where the workflow
    stands. `harmless`: a second time changes nothing more; None: that cannot be told. `untold` names what may
    have effects outside of the transaction that nobody can tell from the plan.
    """

    path: str
    node: str
    how: How
    why: str
    times: Times | None = None
    often: tuple[str, ...] = ()
    harmless: bool | None = None
    untold: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """The report: its rows in the order of the plan, each node before those in it."""

    rows: tuple[Row, ...]

    def counts(self) -> dict[Times, int]:
        """How many steps of each class. A step of several parts is of the weakest class among them."""
        found: dict[str, Times] = {}
        for row in self.rows:
            if row.times is not None:
                found[row.node] = max(row.times, found.get(row.node, row.times), key=_WEAKEST.index)
        classes = list(found.values())
        return {times: classes.count(times) for times in Times}

    def summary(self) -> str:
        """`12 steps: 10 exactly once, 2 at least once`."""
        counts = self.counts()
        total = sum(counts.values())
        said = [f"{count} {times}" for times, count in counts.items() if count]
        head = f"{total} step{'' if total == 1 else 's'}"
        return f"{head}: {', '.join(said)}" if said else head


_WEAKEST: Final = (Times.EXACTLY_ONCE, Times.AT_MOST_ONCE, Times.AT_LEAST_ONCE)

_NEEDLESS: Final = "it is one transaction: without `delivery` it is exactly once"
_REPEATABLE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_REPEATABLE: Final = frozenset({"vacuum", "analyze", "reindex", "cluster", "alter system", "discard all"})


def durability(plan: Plan, database: str | None = None) -> Durability:
    """The report of a plan. `database`: where its SQL steps run that do not say it (`df.start`)."""
    report = _Report(nest(plan), database)
    return Durability(rows=tuple(row for place in report.order() for row in report.rows(place)))


@dataclass(frozen=True, slots=True)
class _Report:
    nesting: Nest
    database: str | None

    def order(self) -> Iterator[Place]:
        """All nodes, each before those of its blocks."""
        todo = [Place(0, index) for index in reversed(range(len(self.nesting.levels[0].nodes)))]
        while todo:
            here = todo.pop()
            yield here
            for number in reversed(self.nesting.inner.get(here, ())):
                level = self.nesting.levels[number]
                todo += [Place(number, index) for index in reversed(range(len(level.nodes)))]

    def rows(self, place: Place) -> Iterator[Row]:
        """The rows of a node."""
        node = self.nesting.node(place)
        runs = often(self.nesting, place)
        match node:
            case SqlNode():
                atomic = self._atomic(place)
                policy = node.policy if atomic is None else atomic.policy
                yield self._sql(node, node.body, policy, runs, inside=atomic)
            case HttpNode():
                if isinstance(node.request, SqlBody):
                    yield self._query(node, f"{node.id}/request", node.request, runs)
                yield _http(node, runs)
            case AtomicNode():
                where = self._where(node.policy)
                how = How.MARKER if where else How.ATOMIC
                yield _structure(node, how, runs, why=where and f"{where}: {WORDS[how]}")
            case MapNode():
                yield self._map(node, runs)
            case BreakNode():
                if isinstance(node.value, SqlBody):
                    yield self._query(node, node.id, node.value, runs)
                else:
                    yield _structure(node, How.DERIVED, runs)
            case SleepNode() | UntilNode() | ScheduleNode() | SignalNode() | CallNode() | InstanceNode():
                if (body := _asked(node)) is not None:
                    yield self._query(node, f"{node.id}/request", body, runs)
                yield _waiting(node, runs)
            case ArmsNode():
                yield _structure(node, How.RACE, runs, why=_arms(node))
            case LoopNode() | RetryNode():
                yield _structure(node, How.ROUNDS, runs)
            case TimeoutNode():
                yield _structure(node, How.LIMIT, runs)
            case TryNode():
                yield _structure(node, How.DERIVED, runs)
            case CompensateNode():
                yield _structure(node, How.UNDO, runs)
            case JoinNode() | ValueNode() | ConstantNode() | IfNode():
                yield _structure(node, How.DERIVED, runs)
            case _:
                assert_never(node)

    def _atomic(self, place: Place) -> AtomicNode | None:
        for around, _ in self.nesting.outwards(place):
            node = self.nesting.node(around)
            if around != place and isinstance(node, AtomicNode):
                return node
        return None

    def _where(self, policy: Policy) -> str:
        database = policy.database or self.database
        return "" if database is None else f"in the database {database}"

    def _query(self, node: Node, path: str, body: SqlBody, runs: Sequence[str]) -> Row:
        """What is computed for a node, in the database of the workflow, by a query that a policy of the node
        does not touch."""
        return _in_transaction(node, path, How.TRANSACTION, "", effects_of(body), runs)

    def _sql(
        self, node: SqlNode, body: SqlBody, policy: Policy, runs: Sequence[str], inside: AtomicNode | None
    ) -> Row:
        where = self._where(policy)
        if inside is not None:
            how = How.ATOMIC if not where else How.MARKER
            return _in_transaction(node, node.id, how, where, effects_of(body), runs, of=inside.id)
        if policy.delivery is Delivery.AT_MOST_ONCE:
            is_outside = body.form is Form.AUTOCOMMIT
            return _announced(node, node.id, runs, _again(policy) if is_outside else (_NEEDLESS,))
        if body.form is Form.AUTOCOMMIT:
            why = f"{where and f'{where}: '}{WORDS[How.OUTSIDE]}"
            return Row(
                path=node.id,
                node=node.id,
                how=How.OUTSIDE,
                why=why,
                times=Times.AT_LEAST_ONCE,
                often=tuple(runs),
                harmless=_is_repeatable(body),
                remarks=_leavings(body),
            )
        how = How.MARKER if where else How.TRANSACTION
        return _in_transaction(node, node.id, how, where, effects_of(body), runs)

    def _map(self, node: MapNode, runs: Sequence[str]) -> Row:
        if not isinstance(node.items, SqlBody):
            return _structure(node, How.ITEMS, runs)
        where = "" if self.database is None else f"in the database {self.database}"
        return _in_transaction(node, node.id, How.ITEMS, where, effects_of(node.items), runs)


def _in_transaction(
    node: Node,
    path: str,
    how: How,
    where: str,
    effects: Effects,
    runs: Sequence[str],
    of: str | None = None,
) -> Row:
    """A statement that commits together with its record, or with what is recorded from."""
    why = WORDS[how] if of is None else f"in the one transaction of `{of}`"
    if where:
        why = f"{where}: {why}"
    if not effects.outside:
        return Row(
            path=path,
            node=node.id,
            how=how,
            why=why,
            times=Times.EXACTLY_ONCE,
            often=tuple(runs),
            untold=effects.untold,
            remarks=effects.remarks,
        )
    said = "; ".join(f"{name}: {reason}" for name, reason in effects.outside)
    return Row(
        path=path,
        node=node.id,
        how=How.MIXED,
        why=f"{WORDS[How.MIXED]} ({said})",
        times=Times.AT_LEAST_ONCE,
        often=tuple(runs),
        harmless=True if effects.harmless else None,
        untold=effects.untold,
        remarks=effects.remarks,
    )


def _announced(node: Node, path: str, runs: Sequence[str], remarks: tuple[str, ...] = ()) -> Row:
    return Row(
        path=path,
        node=node.id,
        how=How.ANNOUNCED,
        why=f"{WORDS[How.ANNOUNCED]} (`delivery => 'at_most_once'`)",
        times=Times.AT_MOST_ONCE,
        often=tuple(runs),
        remarks=remarks,
    )


def _again(policy: Policy) -> tuple[str, ...]:
    """A failure that somebody has seen is no death: attempts are made again after it."""
    if policy.max_attempts == 1:
        return ()
    return ("an attempt that fails, and could be repeated, is: `max_attempts => 1` has one attempt only",)


def _http(node: HttpNode, runs: Sequence[str]) -> Row:
    computed = isinstance(node.request, SqlBody)
    path = f"{node.id}/response" if computed else node.id
    if node.policy.delivery is Delivery.AT_MOST_ONCE:
        return _announced(node, path, runs, _again(node.policy))
    why, harmless = WORDS[How.REQUEST], None
    remarks: list[str] = []
    if isinstance(node.request, Request):
        method = node.request.method
        why = f"{method}: {why}"
        harmless = True if method in _REPEATABLE_METHODS else None
        if any(name.lower() == "idempotency-key" for name, _ in node.request.headers):
            remarks.append("the Idempotency-Key is the step's own")
    if node.many:
        remarks.append("all its requests are sent again, also those that were answered")
    return Row(
        path=path,
        node=node.id,
        how=How.REQUEST,
        why=why,
        times=Times.AT_LEAST_ONCE,
        often=tuple(runs),
        harmless=harmless,
        remarks=tuple(remarks),
    )


def _asked(node: Waiting) -> SqlBody | None:
    """The query that gives what a wait waits for."""
    match node:
        case SleepNode(duration=value) | UntilNode(at=value):
            pass
        case CallNode(input=value) | InstanceNode(instance=value):
            pass
        case _:
            return None
    return value if isinstance(value, SqlBody) else None


def _waiting(node: Waiting, runs: Sequence[str]) -> Row:
    match node:
        case SleepNode() | UntilNode() | ScheduleNode():
            how, said = How.TIMER, ()
        case SignalNode():
            how, said = How.SIGNAL, ()
        case InstanceNode():
            how, said = How.INSTANCE, ()
        case CallNode():
            how, said = How.CALL, (f"what happens in `{node.workflow}` is in the report of that workflow",)
        case _:
            assert_never(node)
    return Row(
        path=node.id,
        node=node.id,
        how=how,
        why=WORDS[how],
        times=Times.EXACTLY_ONCE,
        often=tuple(runs),
        remarks=said,
    )


def _arms(node: ArmsNode) -> str:
    return "the first failure is recorded once" if node.mode is ArmsMode.ALL_OR_CANCEL else ""


def _structure(node: Node, how: How, runs: Sequence[str], why: str = "") -> Row:
    """A node in which nothing of the user's happens but in its blocks."""
    return Row(path=node.id, node=node.id, how=how, why=why or WORDS[how], often=tuple(runs))


def _is_repeatable(body: SqlBody) -> bool | None:
    """Whether a second run of a statement outside of a transaction changes nothing more, and does not fail.
    None: that cannot be told."""
    said = {word.says for word in words(body.sql) if word.kind == "word"}
    if body.kind in _REPEATABLE and "concurrently" not in said:
        return True
    return True if body.kind.startswith("drop ") and {"if", "exists"} <= said else None


def _leavings(body: SqlBody) -> tuple[str, ...]:
    """What a statement leaves behind that has not come to its end."""
    if body.kind in ("create index", "reindex"):
        return ("a death in the middle leaves an invalid index, which has to be dropped",)
    return ()


def to_json(report: Durability) -> dict[str, object]:
    """The report for programs; `deaths` has an entry for each `how` in it.

    `times` is null where nothing of the user's happens; what is empty or cannot be told is left out.
    """
    counts = report.counts()
    used = dict.fromkeys(row.how for row in report.rows)
    return {
        "summary": report.summary(),
        "counts": {times.name.lower(): count for times, count in counts.items()},
        "steps": [_row_json(row) for row in report.rows],
        "deaths": {how.value: asdict(DEATHS[how]) for how in used},
    }


def _row_json(row: Row) -> dict[str, object]:
    more = {"often": row.often, "harmless": row.harmless, "untold": row.untold, "remarks": row.remarks}
    return {
        "path": row.path,
        "times": None if row.times is None else row.times.name.lower(),
        "how": row.how.value,
        "why": row.why,
        **{name: list(said) if isinstance(said, tuple) else said for name, said in more.items() if said},
    }
