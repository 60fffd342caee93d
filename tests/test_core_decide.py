"""The core: laws over random plans and histories, then single cases."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfc.compiler.plan import (
    Form,
    HttpNode,
    JoinNode,
    Node,
    Parameter,
    Plan,
    Request,
    Returns,
    SqlBody,
    SqlNode,
    Use,
)
from dfc.compiler.plan_verify import parameters_of, verify
from dfc.executor import retry
from dfc.executor.actions import (
    Action,
    Finish,
    Interrupt,
    RecordAttempt,
    RecordFailure,
    RunSql,
    SendHttp,
    Wait,
)
from dfc.executor.core.truth import truth
from dfc.executor.decide import (
    CorruptJournal,
    InvalidPlan,
    State,
    begin,
    decide,
    kept_nodes,
    pending,
    step,
    step_of,
    view,
)
from dfc.executor.journal import (
    Attempted,
    CancelRequested,
    Completed,
    Due,
    Event,
    Failed,
    Recorded,
    Retrying,
    Rows,
    StepError,
    Stopped,
    Value,
)
from dfc.executor.states import (
    INSTANCE_TRANSITIONS,
    JOB_TRANSITIONS,
    SETTLED,
    TASK_TRANSITIONS,
    InstanceState,
    JobState,
    TaskState,
)

ROWS = Rows(columns=("v",), types=(25,), cells=("1",), row_count=1)


def body(sql: str = "SELECT 1", *sources: str) -> SqlBody:
    parameters: list[Parameter] = []
    for source in sources:
        start = len(sql) + 1
        sql += f" ${source}"
        parameters.append(Parameter(name=source, source=source, use=Use.VALUE, start=start, end=len(sql)))
    return SqlBody(sql=sql, kind="select", form=Form.WITH, returns=Returns.ROWS, parameters=tuple(parameters))


def sql(id: str, *after: str, reads: tuple[str, ...] = ()) -> SqlNode:
    return SqlNode(id=id, after=after, body=body("SELECT 1", *reads))


def plan(*nodes: Node) -> Plan:
    read = {p.source for node in nodes for p in parameters_of(node)}
    return Plan(nodes=tuple(replace(node, used=node.id in read) for node in nodes), result=nodes[-1].id)


def done(path: str, result: Rows | Value | None = ROWS) -> Completed:
    return Completed(number=0, path=path, result=result)


def error(path: str, sqlstate: str = "22012") -> StepError:
    return StepError(step=path.split("/")[0], message=f"{path} fails", sqlstate=sqlstate)


def failed(path: str) -> Failed:
    return Failed(number=0, path=path, error=error(path))


def attempted(path: str, sqlstate: str, *, transient: bool = True) -> Attempted:
    return Attempted(path=path, error=error(path, sqlstate), transient=transient)


def run(path: str, *, finish: Finish | None = None, keep: bool = False) -> RunSql:
    return RunSql(path=path, body=body(), sources={}, rider=finish, keep=keep)


def completed(shape: object) -> Finish:
    return Finish(status="completed", shape=shape)  # type: ignore[arg-type]


def fold(plan: Plan, events: list[Event]) -> State:
    """The state after all of these events."""
    state = begin(plan)
    for event in events:
        step(state, event)
    return state


def random_plan(random: Random, *, steps: int) -> Plan:
    """Chains and joins of statements and requests, with references to what has surely run."""
    nodes: list[Node] = []

    def leaf(after: tuple[str, ...], visible: list[str]) -> str:
        reads = tuple(random.sample(visible, min(len(visible), random.choice((0, 0, 1, 2)))))
        id = f"n{len(nodes)}"
        if random.random() < 0.2:
            nodes.append(HttpNode(id=id, after=after, request=body("SELECT 1", *reads)))
        else:
            nodes.append(sql(id, *after, reads=reads))
        return id

    def part(after: tuple[str, ...], visible: list[str], depth: int) -> tuple[str, list[str]]:
        if depth == 0 or len(nodes) >= steps or random.random() < 0.4:
            last = leaf(after, visible)
            return last, [*visible, last]
        if random.random() < 0.5:
            last, seen = part(after, visible, depth - 1)
            return part((last,), seen, depth - 1)
        lasts: list[str] = []
        seen = visible
        for _ in range(random.randint(1, 3)):
            last, found = part(after, visible, depth - 1)
            lasts.append(last)
            seen = [*seen, *(name for name in found if name not in seen)]
        nodes.append(JoinNode(id=f"j{len(nodes)}", after=tuple(lasts)))
        return nodes[-1].id, seen

    part((), [], 4)
    return plan(*nodes)


# Laws


def random_history(random: Random, plan: Plan) -> tuple[list[Event], State, dict[str, Action]]:
    """Events as some shell might have caused them, the state after them, and what `step` said is open."""
    state = begin(plan)
    open_now: dict[str, Action] = {}
    events: list[Event] = []

    def note(actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case Interrupt(path=path):
                    open_now.pop(path)
                case Finish():
                    open_now[""] = action
                case _:
                    open_now[action.path] = action

    note(pending(state))
    for _ in range(random.randrange(60)):
        doable = [path for path in open_now if path]
        if not doable:
            break
        action = open_now.pop(random.choice(doable))
        event: Event
        match action:
            case Wait(path=path):
                event = Due(path=path)
            case RecordAttempt(path=path):
                event = Retrying(
                    path=path,
                    attempts=action.attempts,
                    losses=action.losses,
                    seconds=action.seconds,
                    error=action.error,
                )
            case RecordFailure(path=path):
                event = Failed(number=len(events), path=path, error=action.error)
            case RunSql(path=path) | SendHttp(path=path):
                dice = random.random()
                sqlstate = random.choice(("40001", "08006", "22012"))
                if dice < 0.3:
                    event = attempted(path, sqlstate, transient=sqlstate != "22012")
                else:
                    result = ROWS if isinstance(action, RunSql) else Value(json='"ok"')
                    event = Completed(number=len(events), path=path, result=result)
            case _:
                raise AssertionError(action)
        events.append(event)
        note(step(state, event))
    return events, state, open_now


def recorded(events: list[Event]) -> list[Recorded]:
    return [event for event in events if isinstance(event, Completed | Failed)]


seeds = st.integers(min_value=0, max_value=2**32)


@given(seeds, st.integers(min_value=1, max_value=25))
def test_random_plans_are_good(seed: int, steps: int) -> None:
    assert verify(random_plan(Random(seed), steps=steps)) == ()


@settings(max_examples=300)
@given(seeds)
def test_state_from_rows_is_state_from_all_events(seed: int) -> None:
    random = Random(seed)
    plan = random_plan(random, steps=random.randint(1, 15))
    events, state, _ = random_history(random, plan)
    rebuilt = begin(plan, recorded(events))
    assert view(rebuilt) == view(state)
    if state.finish is not None:
        assert pending(rebuilt) == pending(state)


@settings(max_examples=300)
@given(seeds)
def test_steps_answers_add_up_to_what_is_pending(seed: int) -> None:
    random = Random(seed)
    plan = random_plan(random, steps=random.randint(1, 15))
    events, state, open_now = random_history(random, plan)
    assert {a.path: a for a in pending(state) if not isinstance(a, Finish)}.keys() == {*open_now} - {""}
    # An answer may be older than what has happened since; a retry asks again with what is known then.
    assert pending(state) == pending(fold(plan, events))


@settings(max_examples=300)
@given(seeds)
def test_order_of_independent_records_changes_nothing(seed: int) -> None:
    random = Random(seed)
    plan = random_plan(random, steps=random.randint(1, 15))
    events, _, _ = random_history(random, plan)
    records = recorded(events)
    shuffled = random.sample(records, len(records))
    assert decide(plan, shuffled) == decide(plan, records)


# Single cases


def test_chain_runs_step_by_step_and_the_end_rides_on_the_last() -> None:
    chain = plan(sql("a"), sql("b", "a"), sql("c", "b"))
    state = begin(chain)
    assert pending(state) == (run("a"),)
    assert step(state, done("a")) == (run("b"),)
    assert step(state, done("b")) == (run("c", finish=completed("c")),)
    assert step(state, done("c")) == (completed("c"),)
    assert pending(state) == (completed("c"),)


def test_join_waits_for_all_and_the_end_rides_on_the_last_branch() -> None:
    join = plan(sql("a"), sql("b"), sql("b2", "b"), JoinNode(id="j", after=("a", "b2")))
    state = begin(join)
    assert pending(state) == (run("a"), run("b"))
    assert step(state, done("a")) == ()
    assert step(state, done("b")) == (run("b2", finish=completed(("a", "b2"))),)


def test_end_does_not_ride_while_another_branch_runs() -> None:
    join = plan(sql("a"), sql("b"), JoinNode(id="j", after=("a", "b")))
    state = begin(join)
    assert all(isinstance(action, RunSql) and action.rider is None for action in pending(state))
    assert step(state, done("b")) == ()
    assert step(state, done("a")) == (completed(("a", "b")),)


def test_nested_joins_give_nested_shapes() -> None:
    inner = JoinNode(id="i", after=("a", "b"))
    nested = plan(sql("a"), sql("b"), inner, sql("c"), JoinNode(id="j", after=("i", "c")))
    assert decide(nested, [done("c"), done("b"), done("a")]) == (completed((("a", "b"), "c")),)
    assert decide(nested, [done("c"), done("b")]) == (run("a", finish=completed((("a", "b"), "c"))),)


def test_failed_branch_lets_the_others_run_to_their_end() -> None:
    join = plan(sql("a"), sql("b"), sql("b2", "b"), JoinNode(id="j", after=("a", "b2")), sql("z", "j"))
    state = begin(join)
    assert step(state, failed("a")) == ()
    (b2,) = step(state, done("b"))
    assert b2 == run("b2"), "z is still to be skipped, so the end does not ride"
    assert step(state, done("b2")) == (Finish(status="failed", error=error("a")),)
    assert view(state)["z"] == "skipped"


def test_end_rides_on_success_that_leads_to_failure() -> None:
    join = plan(sql("a"), sql("b"), JoinNode(id="j", after=("a", "b")))
    assert decide(join, [failed("a")]) == (run("b", finish=Finish(status="failed", error=error("a"))),)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_first_error_in_written_order_counts(order: tuple[str, str]) -> None:
    join = plan(sql("a"), sql("b"), JoinNode(id="j", after=("a", "b")))
    assert decide(join, [failed(path) for path in order]) == (Finish(status="failed", error=error("a")),)
    state = begin(join)
    step(state, failed(order[0]))
    (action,) = step(state, attempted(order[1], "22012", transient=False))
    assert isinstance(action, RecordFailure)
    assert action.finish == Finish(status="failed", error=error("a"))


def test_failure_that_ends_the_instance_carries_the_end() -> None:
    chain = plan(sql("a"), *(sql(f"s{n}", f"s{n - 1}" if n else "a") for n in range(100)))
    state = begin(chain)
    (action,) = step(state, attempted("a", "22012", transient=False))
    expected = Finish(status="failed", error=error("a"))
    assert action == RecordFailure(path="a", error=error("a"), finish=expected)
    assert step(state, failed("a")) == (expected,)


def test_request_is_computed_then_sent() -> None:
    node = HttpNode(id="h", after=(), request=body(), many=True)
    state = begin(plan(node))
    assert pending(state) == (run("h/request", keep=True),)
    rider, none = completed("h/response"), frozenset[str]()
    sent = SendHttp(path="h/response", request=ROWS, many=True, rider=rider, keep=True, secrets=none)
    assert step(state, done("h/request")) == (sent,)
    assert step(state, attempted("h/response", "DF600")) == (
        Wait(path="h/response", seconds=retry.delay("", "h/response", 1)),
    )
    again = replace(sent, attempt=2)
    assert step(state, Due(path="h/response")) == (again,), "the request's rows are still there"


def test_constant_request_is_only_sent() -> None:
    request = Request(url="http://x/", method="GET", body=None, headers=(), timeout_seconds=1)
    node = HttpNode(id="h", after=(), request=request)
    assert decide(plan(node), []) == (
        SendHttp(path="h/response", request=request, many=False, rider=completed("h/response"), keep=False),
    )


def test_failed_request_fails_the_step() -> None:
    node = HttpNode(id="h", after=(), request=body())
    assert decide(plan(node), [failed("h/request")]) == (Finish(status="failed", error=error("h/request")),)


def test_results_go_to_those_who_refer_to_them() -> None:
    http = HttpNode(id="h", after=("a",), request=body())
    uses = plan(sql("a"), http, sql("b", "h"), sql("c", "b", reads=("a", "h")))
    assert kept_nodes(uses) == {"a", "h"}
    answer = Value(json="{}")
    journal = [done("a"), done("h/request"), done("h/response", answer), done("b", None)]
    (action,) = decide(uses, journal)
    assert isinstance(action, RunSql)
    assert dict(action.sources) == {"a": ROWS, "h": answer}


def test_conflicts_use_up_attempts() -> None:
    state = begin(plan(sql("a")))
    for count in range(1, retry.ATTEMPTS_MAX):
        assert step(state, attempted("a", "40001")) == (Wait(path="a", seconds=retry.delay("", "a", count)),)
        assert pending(state)[0] == Wait(path="a", seconds=retry.delay("", "a", count))
        assert isinstance(step(state, Due(path="a"))[0], RunSql)
    (action,) = step(state, attempted("a", "40001"))
    assert isinstance(action, RecordFailure)
    assert action.error == error("a", "40001")


def test_losses_do_not_use_up_attempts_but_have_a_limit() -> None:
    state = begin(plan(sql("a")))
    for losses in range(1, retry.LOST_ATTEMPTS_MAX):
        (noted,) = step(state, attempted("a", "57P01"))
        assert isinstance(noted, RecordAttempt) and (noted.attempts, noted.losses) == (0, losses)
        lost = Retrying(path="a", attempts=0, losses=losses, seconds=noted.seconds, error=noted.error)
        assert isinstance(step(state, lost)[0], Wait)
        if losses % 2:
            # They are counted on by whoever takes over.
            state = begin(plan(sql("a")), [lost])
        step(state, Due(path="a"))
    assert isinstance(step(state, attempted("a", "40001"))[0], Wait)
    step(state, Due(path="a"))
    assert isinstance(step(state, attempted("a", "08006"))[0], RecordFailure)


def test_late_commit_wins_over_a_decided_failure() -> None:
    state = begin(plan(sql("a"), sql("b", "a")))
    step(state, attempted("a", "22012", transient=False))
    assert step(state, done("a")) == (run("b", finish=completed("b")),)
    assert step(state, done("b")) == (completed("b"),)


def test_cancel_stops_what_runs_and_then_ends() -> None:
    join = plan(sql("a"), sql("b"), sql("b2", "b"), JoinNode(id="j", after=("a", "b2")))
    state = begin(join)
    step(state, attempted("a", "40001"))
    end = Finish(status="cancelled", reason="enough")
    cancel = CancelRequested(reason="enough")
    assert step(state, cancel) == (Interrupt(path="a"), Interrupt(path="b"))
    assert pending(state) == (), "what runs has to come to its end first"
    assert step(state, cancel) == ()
    assert step(state, done("b")) == (end,), "what had committed is taken in, and nothing starts"
    assert step(state, Due(path="a")) == ()
    assert pending(state) == (end,)


def test_cancel_after_the_end_is_decided_changes_nothing() -> None:
    state = begin(plan(sql("a")))
    step(state, done("a"))
    assert step(state, CancelRequested(reason="late")) == ()
    assert pending(state) == (completed("a"),)


@pytest.mark.parametrize(
    "events",
    [
        [done("nobody")],
        [done("b")],
        [failed("b")],
        [done("a"), done("a")],
        [done("a"), failed("a")],
        [failed("a"), done("b")],
        [done("j")],
        [attempted("a", "40001"), attempted("a", "40001")],
        [Stopped(path="b")],
    ],
)
def test_events_that_cannot_be_are_refused(events: list[Event]) -> None:
    nodes = (sql("a"), sql("b", "a", reads=("a",)), sql("c"), JoinNode(id="j", after=("b", "c")))
    with pytest.raises(CorruptJournal):
        fold(plan(*nodes), events)


def test_two_records_of_one_path_are_refused() -> None:
    with pytest.raises(CorruptJournal):
        decide(plan(sql("a")), [done("a"), failed("a")])


def test_request_without_rows_is_refused() -> None:
    node = HttpNode(id="h", after=(), request=body())
    with pytest.raises(CorruptJournal):
        decide(plan(node), [done("h/request", Value(json="1"))])


@pytest.mark.parametrize(
    "bad",
    [
        Plan(nodes=(sql("a"), sql("a")), result="a"),
        Plan(nodes=(sql("a", "b"), sql("b")), result="b"),
        Plan(nodes=(sql("a"),), result="b"),
    ],
)
def test_bad_plans_are_refused(bad: Plan) -> None:
    with pytest.raises(InvalidPlan):
        begin(bad)


def test_empty_join_has_ended_before_it_began() -> None:
    assert decide(plan(JoinNode(id="j", after=())), []) == (completed(()),)


def test_step_of_knows_whose_activation_it_is() -> None:
    state = begin(plan(HttpNode(id="h", after=(), request=body())))
    assert step_of(state, "h/request") == "h"


SIZE = 10_000


def test_long_chain_is_folded_in_one_go() -> None:
    chain = plan(*(sql(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(SIZE)))
    state = begin(chain)
    actions = pending(state)
    for n in range(SIZE):
        actions = step(state, done(f"s{n}"))
        assert len(actions) == 1
    assert actions == (completed(f"s{SIZE - 1}"),)
    assert decide(chain, [failed("s0")]) == (Finish(status="failed", error=error("s0")),)


def test_wide_join_of_failures_is_folded_in_one_go() -> None:
    names = [f"s{n}" for n in range(SIZE)]
    wide = plan(*(sql(name) for name in names), JoinNode(id="j", after=tuple(names)))
    state = begin(wide)
    last = pending(state)
    for name in reversed(names):
        (record,) = step(state, attempted(name, "22012", transient=False))
        assert isinstance(record, RecordFailure)
        assert (record.finish is None) == (name != "s0")
        last = step(state, failed(name))
    assert last == (Finish(status="failed", error=error("s0")),)


def test_deeply_nested_joins_are_no_recursion() -> None:
    nodes: list[Node] = [sql("s0")]
    last = "s0"
    for n in range(1, 2000):
        nodes += [sql(f"s{n}"), JoinNode(id=f"j{n}", after=(last, f"s{n}"))]
        last = f"j{n}"
    state = begin(plan(*nodes))
    actions = pending(state)
    for n in range(2000):
        actions = step(state, failed(f"s{n}"))
    assert actions == (Finish(status="failed", error=error("s0")),)


# The tables


def test_nothing_leaves_a_settled_state() -> None:
    assert {state for state, to in TASK_TRANSITIONS.items() if not to} == SETTLED
    assert TASK_TRANSITIONS.keys() == set(TaskState)
    assert JOB_TRANSITIONS.keys() == set(JobState)
    assert {state for state, to in INSTANCE_TRANSITIONS.items() if to} == {InstanceState.RUNNING}
    assert INSTANCE_TRANSITIONS.keys() == set(InstanceState)


@pytest.mark.parametrize(
    ("cell", "type", "expected"),
    [
        ("{}", 1007, False),
        ("{}", 1009, False),
        ("{0}", 1007, True),
        ("{NULL}", 1007, True),
        ("{}", 16400, False),
        ("{}", 25, True),
        ("{}", 1043, True),
        ("{}", 3802, False),
    ],
)
def test_an_empty_array_is_false(cell: str, type: int, expected: bool) -> None:
    assert truth(Rows(columns=("v",), types=(type,), cells=(cell,), row_count=1)) is expected
