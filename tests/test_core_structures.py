"""The core over structured plans: what each construct does, also when it is undone, cut short or taken
over.
"""

from __future__ import annotations

import gc
import json
from random import Random
from types import FunctionType, ModuleType
from typing import Any

import pytest

from dfc.compiler.plan import (
    DEFAULT_POLICY,
    ArmsMode,
    ArmsNode,
    AtomicNode,
    Block,
    BreakNode,
    CompensateNode,
    Delivery,
    Duration,
    Form,
    IfNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Parameter,
    Plan,
    Policy,
    RetryNode,
    Returns,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    Use,
    ValueNode,
    item_source,
)
from dfc.executor.actions import RecordDecision, RunSql, Wait
from dfc.executor.journal import Begun, Cell, Completed, Constant, Decided, Due, Positioned, Rows, Value
from tests.shell import Outcome, Shell, one

SEEDS = range(12)


def ref(
    source: str, *otherwise: str, use: Use = Use.VALUE, optional: bool = False, column: str | None = None
):
    return Parameter(
        name=source,
        source=source,
        otherwise=otherwise,
        use=use,
        optional=optional,
        column=column,
        start=0,
        end=1,
    )


def sql(
    id: str,
    *after: str,
    reads: tuple[Parameter, ...] = (),
    policy: Policy = DEFAULT_POLICY,
    form: Form = Form.WITH,
) -> SqlNode:
    body = SqlBody(sql="SELECT 1", kind="select", form=form, returns=Returns.ROWS, parameters=reads)
    return SqlNode(id=id, after=after, body=body, policy=policy, used=True)


def chain(*nodes: Node) -> Block:
    return Block(nodes=nodes, result=nodes[-1].id)


def step(id: str, **more: Any) -> Block:
    return chain(sql(id, **more))


def plan(*nodes: Node) -> Plan:
    return Plan(nodes=nodes, result=nodes[-1].id)


def run(
    plan: Plan,
    outcomes: dict[str, Outcome | list[Outcome]] | None = None,
    *,
    seed: int = 0,
    crashes: bool = True,
    check: bool = True,
) -> Shell:
    """Run to the end; with crashes the process is lost now and then."""
    random = Random(seed)
    shell = Shell(plan, outcomes or {}, random, check=check)
    if crashes:

        def crash(shell: Shell) -> None:
            if random.random() < 0.2:
                shell.crash()

        shell.on_step = crash
    shell.run()
    return shell


TRUE, FALSE = one("t", 16), one("f", 16)


@pytest.mark.parametrize(("holds", "ran"), [(TRUE, "a"), (FALSE, "b")])
def test_if_takes_the_branch_that_its_condition_calls_for(holds: Rows, ran: str) -> None:
    node = IfNode(id="if", after=(), condition=step("c"), then=step("a"), otherwise=step("b"))
    shell = run(plan(node, sql("z", "if", reads=(ref("a", "b", optional=True),))), {"c": holds})
    assert shell.log == ["c", ran, "z"]
    assert shell.sources["z"] == {"a|b": one(ran)}


def test_if_without_else_gives_null() -> None:
    shell = run(plan(IfNode(id="if", after=(), condition=step("c"), then=step("a"))), {"c": FALSE})
    assert shell.log == ["c"]
    assert shell.finish is not None and shell.finish.shape == Constant(json="null")


def test_the_end_rides_on_the_last_step_of_a_branch() -> None:
    shell = Shell(plan(IfNode(id="if", after=(), condition=step("c"), then=step("a"))), {"c": TRUE})
    shell.start()
    shell.do("c")
    action = shell.open["a"]
    assert isinstance(action, RunSql) and action.rider is not None


def loop(body: Block, condition: Block | None, *after: str, keep: bool = False) -> LoopNode:
    return LoopNode(id="l", after=after, body=body, condition=condition, keep_undos=keep)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_last_round_of_a_loop_has_given_counts(seed: int) -> None:
    """Both `a` and `b` give a name; the loop is left between them, in its second round."""
    leave = IfNode(
        id="i",
        after=("a",),
        condition=step("c"),
        then=chain(BreakNode(id="k", after=(), loop="l")),
    )
    body = chain(sql("a"), leave, sql("b", "i"))
    outcomes: dict[str, Outcome | list[Outcome]] = {
        "l[1]/c": FALSE,
        "l[2]/c": TRUE,
        "l[1]/a": one("a1"),
        "l[2]/a": one("a2"),
        "l[1]/b": one("b1"),
    }
    shell = run(plan(loop(body, None), sql("z", "l", reads=(ref("b", "a"),))), outcomes, seed=seed)
    assert shell.sources["z"] == {"b|a": one("a2")}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_loop_has_carried_on_counts_before_what_was_before_it(seed: int) -> None:
    leave = IfNode(
        id="i",
        after=(),
        condition=step("c"),
        then=chain(BreakNode(id="k", after=(), loop="l")),
    )
    body = chain(leave, sql("b", "i"))
    outcomes: dict[str, Outcome | list[Outcome]] = {"l[1]/c": FALSE, "l[2]/c": TRUE, "l[1]/b": one("b1")}
    last = sql("z", "l", reads=(ref("b", "a"),))
    shell = run(plan(sql("a"), loop(body, None, "a"), last), outcomes, seed=seed)
    assert shell.sources["z"] == {"b|a": one("b1")}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_condition_of_a_loop_gives_names(seed: int) -> None:
    outcomes: dict[str, Outcome | list[Outcome]] = {"l[1]/c": TRUE, "l[2]/c": FALSE}
    loops = loop(step("a", reads=(ref("c", optional=True),)), step("c", reads=(ref("a"),)))
    shell = run(plan(loops, sql("z", "l", reads=(ref("c"),))), outcomes, seed=seed)
    assert shell.sources["l[2]/a"] == {"c": TRUE}
    assert shell.sources["z"] == {"c": FALSE}


@pytest.mark.parametrize("seed", SEEDS)
def test_loop_repeats_while_its_condition_holds(seed: int) -> None:
    rounds = 30
    conditions: dict[str, Outcome | list[Outcome]] = {f"l[{n}]/c": TRUE for n in range(1, rounds)}
    conditions[f"l[{rounds}]/c"] = FALSE
    shell = run(plan(loop(step("a"), step("c")), sql("z", "l", reads=(ref("a"),))), conditions, seed=seed)
    expected = [f"l[{n}]/{name}" for n in range(1, rounds + 1) for name in "ac"]
    assert shell.log == [*expected, "z"]
    assert shell.sources["z"] == {"a": one(f"l[{rounds}]/a")}


def test_a_loop_leaves_a_bounded_number_of_records_and_keeps_a_bounded_state() -> None:
    most = 0
    sizes: list[int] = []

    def count(shell: Shell) -> None:
        nonlocal most
        most = max(most, len(shell.records))
        if len(shell.log) in (200, 900) and len(sizes) < len(shell.log) // 450 + 1:
            sizes.append(objects(shell.state))

    conditions: dict[str, Outcome | list[Outcome]] = {"c": TRUE, "l[500]/c": FALSE}
    body = step("a", reads=(ref("a", optional=True),))
    shell = Shell(plan(loop(body, step("c"))), conditions, check=False)
    shell.on_step = count
    shell.run()
    assert len(shell.log) == 1000
    assert most < 40
    early, late = sizes
    assert late < early + 100, "what the core keeps grows with the rounds"


def objects(root: object) -> int:
    """How many objects there are behind one, but for classes, functions and modules."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        todo += gc.get_referents(each)
    return len(seen)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_loop_carries_values_from_round_to_round(seed: int) -> None:
    before = ref("a", optional=True)
    conditions: dict[str, Outcome | list[Outcome]] = {"c": TRUE, "l[20]/c": FALSE}
    shell = run(plan(loop(step("a", reads=(before,)), step("c"))), conditions, seed=seed)
    assert shell.sources["l[1]/a"] == {}
    for n in range(2, 21):
        assert shell.sources[f"l[{n}]/a"] == {"a": one(f"l[{n - 1}]/a")}


def test_a_round_without_a_step_ends_a_loop_that_would_never_end() -> None:
    never = IfNode(
        id="if", after=(), condition=chain(ValueNode(id="v", after=(), parameter=ref("s"))), then=step("a")
    )
    shell = run(plan(sql("s"), loop(chain(never), None, "s")), {"s": FALSE})
    assert shell.finish is not None and shell.finish.error is not None
    assert shell.finish.error.sqlstate == "DF519"
    assert shell.finish.error.hint is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_break_leaves_the_loop_with_its_value(seed: int) -> None:
    leaves = IfNode(
        id="if",
        after=("a",),
        condition=step("c"),
        then=chain(BreakNode(id="b", after=(), loop="l", value='{"n": 1.10}')),
    )
    conditions: dict[str, Outcome | list[Outcome]] = {"c": FALSE, "l[12]/c": TRUE}
    shell = run(plan(loop(chain(sql("a"), leaves), None)), conditions, seed=seed)
    assert len(shell.log) == 24
    assert shell.finish is not None and shell.finish.shape == Constant(json='{"n": 1.10}')


@pytest.mark.parametrize("seed", SEEDS)
def test_break_with_a_computed_value(seed: int) -> None:
    body = SqlBody(sql="SELECT 1", kind="select", form=Form.WITH, returns=Returns.ROWS)
    shell = run(
        plan(loop(chain(sql("a"), BreakNode(id="b", after=("a",), loop="l", value=body)), None)), seed=seed
    )
    assert shell.log == ["l[1]/a", "l[1]/b"]
    assert shell.finish is not None and shell.finish.shape == Cell(path="l[1]/b", column=None)


@pytest.mark.parametrize("seed", SEEDS)
def test_break_in_a_branch_stops_its_siblings(seed: int) -> None:
    body = chain(
        BreakNode(id="b", after=(), loop="l"),
        CompensateNode(id="k", after=(), body=step("do"), undo=step("undo")),
        sql("slow", "k"),
        JoinNode(id="j", after=("b", "slow")),
    )
    shell = run(plan(sql("s"), loop(body, None, "s"), sql("z", "l")), seed=seed)
    assert shell.finish is not None and shell.finish.status == "completed"
    assert shell.log.count("l[1]/undo") == ("l[1]/do" in shell.log and "l[1]/undo" in shell.log)
    if "l[1]/do" in shell.log:
        assert "l[1]/undo" in shell.log
    assert shell.log[-1] == "z"


def test_undos_of_the_chain_that_breaks_are_dropped() -> None:
    body = chain(
        CompensateNode(id="k", after=(), body=step("do"), undo=step("undo")),
        BreakNode(id="b", after=("k",), loop="l"),
    )
    assert run(plan(loop(body, None))).log == ["l[1]/do"]


def arms(*blocks: Block, mode: ArmsMode = ArmsMode.RACE, after: tuple[str, ...] = ()) -> ArmsNode:
    return ArmsNode(id="r", after=after, arms=blocks, mode=mode)


@pytest.mark.parametrize("seed", SEEDS)
def test_race_has_exactly_one_winner(seed: int) -> None:
    undo = CompensateNode(id="k", after=(), body=step("do"), undo=step("undo"))
    shell = run(plan(arms(step("a"), chain(undo, sql("b", "k")), step("c")), sql("z", "r")), seed=seed)
    assert shell.finish is not None and shell.finish.status == "completed"
    decided = json.loads(next(r.value for r in shell.records.values() if isinstance(r, Decided)))["arm"]
    assert ("a" in shell.log) + ("c" in shell.log) <= 1
    assert (decided == 0) == ("a" in shell.log) and (decided == 2) == ("c" in shell.log)
    undone = "do" in shell.log and decided != 1
    assert shell.log.count("undo") == undone
    assert shell.log[-1] == "z"


@pytest.mark.parametrize("seed", SEEDS)
def test_race_of_failures_fails_with_the_first_written(seed: int) -> None:
    shell = run(plan(arms(step("a"), step("b"))), {"a": "22012", "b": "23505"}, seed=seed)
    assert shell.finish is not None and shell.finish.error is not None
    assert shell.finish.error.sqlstate == "22012"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failing_arm_does_not_win(seed: int) -> None:
    shell = run(plan(arms(step("a"), chain(sql("b"), sql("b2", "b")))), {"a": "22012"}, seed=seed)
    assert shell.finish is not None and shell.finish.status == "completed"
    assert shell.log == ["b", "b2"]


def test_a_single_statement_carries_its_winning_along() -> None:
    shell = Shell(plan(arms(step("a"), chain(sql("b"), sql("b2", "b")))))
    shell.start()
    one_statement, two = shell.open["a"], shell.open["b"]
    assert isinstance(one_statement, RunSql) and one_statement.rider == RecordDecision(
        path="r/decision", value='{"arm": 0}'
    )
    assert isinstance(two, RunSql) and two.rider is None


@pytest.mark.parametrize("seed", SEEDS)
def test_group_that_cancels_stops_the_others(seed: int) -> None:
    slow = chain(sql("b"), *[sql(f"b{n}", f"b{n - 1}" if n else "b") for n in range(5)])
    shell = run(plan(arms(step("a"), slow, mode=ArmsMode.ALL_OR_CANCEL)), {"a": "22012"}, seed=seed)
    assert shell.finish is not None and shell.finish.error is not None
    assert shell.finish.error.sqlstate == "22012"


@pytest.mark.parametrize("seed", SEEDS)
def test_group_that_cancels_gives_the_array_of_all(seed: int) -> None:
    shell = run(plan(arms(step("a"), step("b"), mode=ArmsMode.ALL_OR_CANCEL)), seed=seed)
    assert shell.finish is not None and shell.finish.shape == ("a", "b")


def limited(body: Block, otherwise: Block | None = None) -> TimeoutNode:
    return TimeoutNode(
        id="t", after=(), body=body, duration=Duration(microseconds=5_000_000), otherwise=otherwise
    )


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("otherwise", [None, step("e")])
def test_timeout_lets_either_the_body_or_the_time_count(seed: int, otherwise: Block | None) -> None:
    undo = CompensateNode(id="k", after=(), body=step("do"), undo=step("undo"))
    shell = run(plan(limited(chain(undo, sql("b", "k")), otherwise), sql("z", "t")), seed=seed)
    timed_out = any(isinstance(r, Decided) for r in shell.records.values())
    assert shell.finish is not None
    if not timed_out:
        assert shell.log == ["do", "b", "z"]
    else:
        assert shell.log.count("undo") == ("do" in shell.log)
        if otherwise is None:
            assert shell.finish.error is not None and shell.finish.error.sqlstate == "timeout"
        else:
            assert shell.log[-2:] == ["e", "z"]


def test_the_rest_of_a_time_limit_is_what_the_record_says() -> None:
    shell = Shell(plan(limited(step("b"))))
    shell.start()
    shell.do("t/timer")
    shell.crash()
    assert shell.open["t/timer"] == Wait(path="t/timer", seconds=5.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_retry_runs_the_whole_again(seed: int) -> None:
    node = RetryNode(id="y", after=(), body=chain(sql("a"), sql("b", "a")), policy=Policy(max_attempts=3))
    shell = run(
        plan(node, sql("z", "y", reads=(ref("b"),))), {"y[1]/b": "22012", "y[2]/b": "22012"}, seed=seed
    )
    assert shell.log == ["y[1]/a", "y[2]/a", "y[3]/a", "y[3]/b", "z"]
    assert shell.sources["z"] == {"b": one("y[3]/b")}
    assert not [path for path in shell.records if path.startswith(("y[1]", "y[2]"))]


def test_retry_fails_after_its_last_attempt() -> None:
    node = RetryNode(id="y", after=(), body=step("a"), policy=Policy(max_attempts=3))
    shell = run(plan(node), {"a": "22012"})
    assert shell.finish is not None and shell.finish.status == "failed"
    assert sum(shell.runs.values()) >= 3 and not shell.log


@pytest.mark.parametrize(
    ("policy", "attempts"),
    [
        (Policy(max_attempts=3, no_retry_on=("22012",)), 1),
        (Policy(max_attempts=3, retry_on=("23",)), 1),
        (Policy(max_attempts=3, retry_on=("22",)), 3),
        (Policy(max_attempts=3, retry_on=("all",)), 3),
    ],
)
def test_retry_only_what_its_policy_names(policy: Policy, attempts: int) -> None:
    shell = run(
        plan(RetryNode(id="y", after=(), body=step("a"), policy=policy)), {"a": "22012"}, crashes=False
    )
    assert sum(shell.runs.values()) == attempts


@pytest.mark.parametrize("seed", SEEDS)
def test_undos_inside_run_before_the_next_attempt(seed: int) -> None:
    undo = CompensateNode(id="k", after=(), body=step("do"), undo=step("undo"))
    node = RetryNode(id="y", after=(), body=chain(undo, sql("a", "k")), policy=Policy(max_attempts=2))
    shell = run(plan(node), {"y[1]/a": "22012"}, seed=seed)
    assert shell.log == ["y[1]/do", "y[1]/undo", "y[2]/do", "y[2]/a"]


def tried(body: Block, final: Block | None = None, catch: Block | None = None) -> TryNode:
    return TryNode(id="t", after=(), body=body, catch=catch or step("c", reads=(ref("t!"),)), final=final)


@pytest.mark.parametrize("seed", SEEDS)
def test_try_catches_and_cleans_up(seed: int) -> None:
    undo = CompensateNode(id="k", after=(), body=step("do"), undo=step("undo"))
    node = tried(chain(undo, sql("a", "k")), step("f"))
    shell = run(plan(node, sql("z", "t")), {"a": "22012"}, seed=seed)
    assert shell.log == ["do", "undo", "c", "f", "z"]
    error = shell.sources["c"]["t!"]
    assert isinstance(error, Value) and json.loads(error.json)["sqlstate"] == "22012"
    assert run(plan(node, sql("z", "t")), seed=seed).log == ["do", "a", "f", "z"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("failing", "chain_of_causes"),
    [(("a", "c"), ["c", "a"]), (("a", "f"), ["f", "a"]), (("f",), ["f"]), (("a", "c", "f"), ["f", "c", "a"])],
)
def test_an_error_in_catch_or_finally_keeps_the_first_as_its_cause(
    seed: int, failing: tuple[str, ...], chain_of_causes: list[str]
) -> None:
    shell = run(plan(tried(step("a"), step("f"))), dict.fromkeys(failing, "22012"), seed=seed)
    assert shell.finish is not None
    found: list[str] = []
    error = shell.finish.error
    while error is not None:
        found.append(error.step)
        error = error.cause
    assert found == chain_of_causes


@pytest.mark.parametrize("seed", SEEDS)
def test_a_break_does_not_hide_an_error_in_a_finally_on_its_way(seed: int) -> None:
    undo = CompensateNode(id="k", after=(), body=step("do"), undo=step("undo"))
    leaves = chain(undo, BreakNode(id="b", after=("k",), loop="l"))
    attempt = TryNode(id="t", after=(), body=leaves, catch=step("c"), final=step("f"))
    shell = run(plan(loop(chain(attempt), None), sql("z", "l")), {"l[1]/f": "22012"}, seed=seed)
    assert shell.finish is not None and shell.finish.error is not None
    assert (shell.finish.status, shell.finish.error.step) == ("compensated", "l[1]/f")
    # What stands on the way to the break is undone, since the loop has failed.
    assert shell.log == ["l[1]/do", "l[1]/undo"]


@pytest.mark.parametrize("seed", range(30))
def test_finally_runs_on_cancel_and_catch_does_not(seed: int) -> None:
    undo = CompensateNode(id="k", after=(), body=step("do"), undo=step("undo"))
    shell = Shell(
        plan(tried(chain(undo, sql("a", "k"), sql("b", "a")), step("f")), sql("z", "t")), random=Random(seed)
    )
    when = Random(seed).randrange(1, 5)

    def act(shell: Shell) -> None:
        if len(shell.log) >= when and shell.cancelled is None:
            shell.cancel()
        if shell.random.random() < 0.2:
            shell.crash()

    shell.on_step = act
    finish = shell.run()
    assert "c" not in shell.log
    if finish.status == "cancelled":
        assert shell.log.count("f") == 1
        ended = "b" in shell.log and "undo" not in shell.log
        assert ended or shell.log.count("undo") == ("do" in shell.log)


@pytest.mark.parametrize("seed", SEEDS)
def test_undos_run_last_committed_first(seed: int) -> None:
    nodes: list[Node] = [
        CompensateNode(
            id=f"k{n}", after=(f"k{n - 1}",) if n else (), body=step(f"do{n}"), undo=step(f"undo{n}")
        )
        for n in range(4)
    ]
    shell = run(plan(*nodes, sql("z", "k3")), {"z": "22012"}, seed=seed)
    assert shell.log == ["do0", "do1", "do2", "do3", "undo3", "undo2", "undo1", "undo0"]
    assert shell.finish is not None and shell.finish.status == "compensated"
    assert shell.finish.error is not None and shell.finish.error.sqlstate == "22012"


@pytest.mark.parametrize("seed", SEEDS)
def test_parallel_undos_run_in_reverse_order_of_commits(seed: int) -> None:
    nodes: list[Node] = [
        CompensateNode(id=f"k{n}", after=(), body=step(f"do{n}"), undo=step(f"undo{n}")) for n in range(4)
    ]
    shell = run(
        plan(*nodes, JoinNode(id="j", after=("k0", "k1", "k2", "k3")), sql("z", "j")),
        {"z": "22012"},
        seed=seed,
    )
    dos = [path[2:] for path in shell.log if path.startswith("do")]
    undos = [path[4:] for path in shell.log if path.startswith("undo")]
    assert undos == dos[::-1] and len(undos) == 4


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failed_undo_is_listed_and_the_others_run(seed: int) -> None:
    first = CompensateNode(id="k0", after=(), body=step("do0"), undo=step("undo0"))
    second = CompensateNode(id="k1", after=("k0",), body=step("do1"), undo=step("undo1"))
    shell = run(plan(first, second, sql("z", "k1")), {"z": "22012", "undo1": "23505"}, seed=seed)
    assert shell.log == ["do0", "do1", "undo0"]
    assert shell.finish is not None and shell.finish.status == "failed"
    assert [error.sqlstate for error in shell.finish.undo_errors] == ["23505"]


@pytest.mark.parametrize("seed", range(30))
def test_cancel_undoes_what_has_completed(seed: int) -> None:
    nodes = [
        CompensateNode(
            id=f"k{n}", after=(f"k{n - 1}",) if n else (), body=step(f"do{n}"), undo=step(f"undo{n}")
        )
        for n in range(4)
    ]
    shell = Shell(plan(*nodes), random=Random(seed))
    when = Random(seed).randrange(5)

    def act(shell: Shell) -> None:
        if len(shell.log) >= when and shell.cancelled is None:
            shell.cancel()
        elif shell.cancelled is not None and shell.random.random() < 0.3:
            shell.cancel("again")
        if shell.random.random() < 0.2:
            shell.crash()

    shell.on_step = act
    finish = shell.run()
    if finish.status == "cancelled":
        dos = [path[2:] for path in shell.log if path.startswith("do")]
        assert [path[4:] for path in shell.log if path.startswith("undo")] == dos[::-1]
        assert finish.reason == "enough"
    else:
        assert finish.status == "completed"


@pytest.mark.parametrize("seed", range(30))
def test_cancel_while_undos_run_changes_nothing(seed: int) -> None:
    nodes = [
        CompensateNode(
            id=f"k{n}", after=(f"k{n - 1}",) if n else (), body=step(f"do{n}"), undo=step(f"undo{n}")
        )
        for n in range(3)
    ]
    shell = Shell(plan(*nodes, sql("z", "k2")), {"z": "22012"}, random=Random(seed))

    def act(shell: Shell) -> None:
        if "undo2" in shell.log and shell.cancelled is None:
            shell.cancel()
        if shell.random.random() < 0.2:
            shell.crash()

    shell.on_step = act
    finish = shell.run()
    assert shell.log[-3:] == ["undo2", "undo1", "undo0"]
    assert finish.status == "compensated"


def test_undos_of_a_round_end_with_it_unless_all_are_kept() -> None:
    body = chain(CompensateNode(id="k", after=(), body=step("do"), undo=step("undo")), sql("a", "k"))
    outcomes: dict[str, Outcome | list[Outcome]] = {"c": TRUE, "l[3]/a": "22012"}
    assert [p for p in run(plan(loop(body, step("c"))), outcomes).log if "undo" in p] == ["l[3]/undo"]
    kept = run(plan(loop(body, step("c"), keep=True)), outcomes)
    assert [p for p in kept.log if "undo" in p] == ["l[3]/undo", "l[2]/undo", "l[1]/undo"]


def mapped(
    body: Block, *, items: str = "m/items", parallel: int = 3, on_error: OnError = OnError.FAIL
) -> MapNode:
    query = SqlBody(sql="SELECT 1", kind="select", form=Form.WITH, returns=Returns.ROWS)
    return MapNode(
        id="m", after=(), items=query, body=body, max_parallel=parallel, on_error=on_error, used=True
    )


def rows(count: int) -> Rows:
    return Rows(
        columns=("v",), types=(25,), cells=tuple(str(n) for n in range(1, count + 1)), row_count=count
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [0, 1, 7, 150])
def test_map_runs_its_body_once_an_item(seed: int, count: int) -> None:
    body = chain(sql("a", reads=(ref(item_source("m")),)), sql("b", "a"))
    shell = run(plan(mapped(body), sql("z", "m")), {"m/items": rows(count)}, seed=seed)
    ran = [path for path in shell.log if path.endswith("/a")]
    assert sorted(ran) == sorted(f"m[{n}]/a" for n in range(1, count + 1))
    assert len(shell.log) == 2 * count + 1
    for n in range(1, count + 1):
        assert shell.sources[f"m[{n}]/a"] == {"m[]": one(str(n))}
    assert [path for path in shell.records if path.startswith("m[")] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_map_of_single_statements_ends_its_items_with_them(seed: int) -> None:
    shell = run(plan(mapped(step("a")), sql("z", "m")), {"m/items": rows(20)}, seed=seed)
    assert len(shell.log) == 21
    assert all(ended == "completed" for _, ended in shell.items["m"].values())


def test_no_more_items_run_than_may() -> None:
    most = 0

    def count(shell: Shell) -> None:
        nonlocal most
        most = max(most, sum(path.startswith("m[") for path in shell.open))

    shell = Shell(plan(mapped(chain(sql("a"), sql("b", "a")), parallel=4)), {"m/items": rows(40)})
    shell.on_step = count
    shell.run()
    assert most == 4


@pytest.mark.parametrize("seed", SEEDS)
def test_a_failed_item_lets_no_new_one_begin(seed: int) -> None:
    shell = run(
        plan(mapped(chain(sql("a"), sql("b", "a")))), {"m/items": rows(200), "m[5]/b": "22012"}, seed=seed
    )
    assert shell.finish is not None and shell.finish.error is not None
    assert shell.finish.error.step == "m[5]/b"
    assert len(shell.log) < 60


@pytest.mark.parametrize("seed", SEEDS)
def test_a_map_goes_on_after_failures_when_told_to(seed: int) -> None:
    outcomes: dict[str, Outcome | list[Outcome]] = {"m/items": rows(20), "m[5]/a": "22012", "m[6]/a": "22012"}
    shell = run(plan(mapped(step("a"), on_error=OnError.CONTINUE), sql("z", "m")), outcomes, seed=seed)
    assert shell.finish is not None and shell.finish.status == "completed"
    assert len(shell.log) == 19


@pytest.mark.parametrize("seed", SEEDS)
def test_undos_of_all_items_run_when_the_workflow_fails(seed: int) -> None:
    # Who takes over reads the items of such a map again, so its state is behind for a moment.
    body = chain(CompensateNode(id="k", after=(), body=step("do"), undo=step("undo")), sql("a", "k"))
    shell = run(
        plan(mapped(body), sql("z", "m")), {"m/items": rows(10), "z": "22012"}, seed=seed, check=False
    )
    dos = [path.removesuffix("do") for path in shell.log if path.endswith("/do")]
    undos = [path.removesuffix("undo") for path in shell.log if path.endswith("/undo")]
    assert undos == dos[::-1] and len(dos) == 10


@pytest.mark.parametrize("seed", SEEDS)
def test_undos_of_items_under_way_run_on_cancel(seed: int) -> None:
    body = chain(CompensateNode(id="k", after=(), body=step("do"), undo=step("undo")), sql("a", "k"))
    shell = Shell(plan(mapped(body)), {"m/items": rows(30)}, random=Random(seed), check=False)
    when = Random(seed).randrange(30)

    def act(shell: Shell) -> None:
        if len(shell.log) >= when and shell.cancelled is None:
            shell.cancel()
        if shell.random.random() < 0.1:
            shell.crash()

    shell.on_step = act
    finish = shell.run()
    assert finish.status == "cancelled"
    dos = [path.removesuffix("do") for path in shell.log if path.endswith("/do")]
    undos = [path.removesuffix("undo") for path in shell.log if path.endswith("/undo")]
    assert undos == dos[::-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_atomic_is_one_activation(seed: int) -> None:
    body = chain(
        sql("a", reads=(ref("s"),)),
        IfNode(id="if", after=("a",), condition=step("c"), then=step("b", reads=(ref("a"),))),
    )
    node = AtomicNode(id="t", after=("s",), body=body)
    shell = run(plan(sql("s"), node, sql("z", "t", reads=(ref("a"),))), {"c": TRUE}, seed=seed)
    assert shell.log == ["s", "a", "c", "b", "z"]
    assert shell.sources["z"] == {"a": one("a")}


def test_atomic_is_repeated_as_a_whole() -> None:
    node = AtomicNode(id="t", after=(), body=chain(sql("a"), sql("b", "a")))
    shell = run(plan(node), {"b": ["40001", "40001", one("b")]}, crashes=False)
    assert shell.log == ["a", "b"] and shell.runs["a"] == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_continue_goes_on_without_the_result(seed: int) -> None:
    a = sql("a", policy=Policy(on_error=OnError.CONTINUE))
    reads = (ref("a", optional=True), ref("a", use=Use.ERROR, column="error.message"))
    shell = run(plan(a, sql("b", "a", reads=reads)), {"a": "22012"}, seed=seed)
    assert shell.log == ["b"]
    error = shell.sources["b"]["a!"]
    assert isinstance(error, Value) and json.loads(error.json)["sqlstate"] == "22012"
    assert "a" not in shell.sources["b"]


@pytest.mark.parametrize("attempts", [1, 3, 7])
def test_max_attempts_counts_attempts(attempts: int) -> None:
    policy = Policy(max_attempts=attempts, retry_on=("22012",), backoff=Duration(microseconds=10_000))
    shell = run(plan(sql("a", policy=policy)), {"a": "22012"}, crashes=False)
    assert shell.runs["a"] == attempts


def test_long_waits_are_recorded_and_survive() -> None:
    policy = Policy(max_attempts=3, backoff=Duration(microseconds=8_000_000), jitter=False)
    shell = Shell(plan(sql("a", policy=policy)), {"a": ["40001", "40001", one("a")]})
    shell.start()
    shell.do("a")
    shell.do("a")
    assert shell.open["a"] == Wait(path="a", seconds=8.0)
    shell.crash()
    assert shell.open["a"] == Wait(path="a", seconds=8.0)
    del shell.open["a"]
    shell.feed(Due(path="a"))
    assert isinstance(shell.open["a"], RunSql)
    assert shell.state is not None
    assert shell.state.jobs["a"].attempts == 1


@pytest.mark.parametrize("form", [Form.AUTOCOMMIT, Form.WITH])
def test_at_most_once_is_ambiguous_after_a_crash(form: Form) -> None:
    policy = Policy(delivery=Delivery.AT_MOST_ONCE)
    shell = Shell(plan(sql("a", policy=policy, form=form)))
    shell.start()
    shell.do("a")
    assert isinstance(shell.open["a"], RunSql)
    assert shell.attempts["a"] == Begun(path="a")
    shell.crash()
    finish = shell.run()
    assert finish.error is not None and finish.error.sqlstate == "ambiguous"
    assert shell.log == []


@pytest.mark.parametrize("use", [Use.VALUE, Use.ROW_COUNT])
def test_a_lone_reference_is_the_value(use: Use) -> None:
    shell = run(plan(sql("a"), ValueNode(id="v", after=("a",), parameter=ref("a", use=use))))
    assert shell.finish is not None
    expected = Cell(path="a", column="v") if use is Use.VALUE else Constant(json="1")
    assert shell.finish.shape == expected


def test_a_lone_reference_to_nothing_fails() -> None:
    empty = Rows(columns=("v",), types=(25,), cells=(), row_count=0)
    shell = run(plan(sql("a"), ValueNode(id="v", after=("a",), parameter=ref("a"))), {"a": empty})
    assert shell.finish is not None and shell.finish.error is not None
    assert shell.finish.error.sqlstate == "P0002"


def test_positions_name_what_is_carried() -> None:
    outcomes: dict[str, Outcome | list[Outcome]] = {"c": TRUE, "l[12]/c": FALSE}
    shell = run(plan(loop(step("a", reads=(ref("a", optional=True),)), step("c"))), outcomes, crashes=False)
    position = shell.records["l/round"]
    assert isinstance(position, Positioned) and position.carry["a"] == f"l[{position.round - 1}]/a"
    assert isinstance(shell.records[f"l[{position.round - 1}]/a"], Completed)
