"""What a retry forgets: of instances of random workflows that have failed, in the simulator, and by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dfc.compiler.plan import Block, Node, Plan, Policy, RetryNode, SqlNode, TryNode
from dfc.executor.actions import Finish
from dfc.executor.decide import begin, decide, forgotten, kept_nodes, pending
from dfc.executor.journal import Completed, Failed, Positioned, Record, StepError
from tests.depth import depth
from tests.executor.support import rows_of
from tests.simulate.database import as_read
from tests.simulate.run import Run

SEEDS = range(1, depth(160) + 1)


def test_what_has_failed_goes_on_without_what_is_forgotten() -> None:
    """The records lead to the failure once more; without those that are forgotten something is to be done."""
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        run = Run(seed)
        run.execute()
        for instance in run.database.instances.values():
            if instance.finish is None or instance.status != "failed" or instance.finish.undo_errors:
                continue
            kept = frozenset(kept_nodes(instance.plan))
            records = [as_read(instance, record, kept) for record in run.database.live(instance)]
            state = begin(instance.plan, records, input=instance.input, trace=True)
            if state.finish is None:
                seen["has to look first"] += 1  # results and items that are not at hand
                continue
            assert state.finish.status == "failed", (seed, instance.id)
            gone = set(forgotten(state, records).records)
            assert gone <= {record.path for record in records}
            left = [record for record in records if record.path not in gone]
            first = pending(begin(instance.plan, left, input=instance.input))[0]
            if isinstance(first, Finish):
                # What a completed step has given does not do, or what had failed was taken care of in time.
                seen["ends again"] += 1
            else:
                seen["goes on"] += 1
    assert seen["goes on"] > len(SEEDS) // 2, seen
    assert seen["ends again"] <= 3, seen


def _left(plan: Plan, records: Sequence[Record]) -> set[str]:
    """The paths of the records that a retry leaves."""
    state = begin(plan, records, trace=True)
    assert state.finish is not None and state.finish.status == "failed"
    gone = forgotten(state, records).records
    left = [record for record in records if record.path not in gone]
    assert not isinstance(decide(plan, left)[0], Finish)
    return {record.path for record in left}


def _block(*names: str) -> Block:
    nodes: list[Node] = []
    for name in names:
        after = (nodes[-1].id,) if nodes else ()
        nodes.append(SqlNode(id=name, after=after, body=rows_of("SELECT 1")))
    return Block(nodes=tuple(nodes), result=names[-1])


def _done(path: str, number: int) -> Completed:
    return Completed(number=number, path=path, result=None)


def _failed(path: str, number: int) -> Failed:
    return Failed(number=number, path=path, error=StepError(step=path, message="no", sqlstate="22012"))


def test_an_error_that_was_caught_is_kept() -> None:
    node = TryNode(id="t", after=(), body=_block("a"), catch=_block("b", "c"), final=_block("f"))
    records = [_failed("a", 1), _done("b", 2), _failed("c", 3), _done("f", 4)]
    assert _left(Plan(nodes=(node,), result="t"), records) == {"a", "b"}
    # The finally has failed: it goes on, and what came before it stays.
    records = [_done("a", 1), _failed("f", 2)]
    assert _left(Plan(nodes=(node,), result="t"), records) == {"a"}


def test_nothing_is_left_of_the_attempts_of_a_retry() -> None:
    node = RetryNode(id="r", after=(), body=_block("a", "b"), policy=Policy(max_attempts=2))
    records = [Positioned(path="r/round", round=2), _done("r[2]/a", 1), _failed("r[2]/b", 2)]
    assert _left(Plan(nodes=(node,), result="r"), records) == set()


def test_nothing_is_forgotten_of_what_has_not_failed() -> None:
    plan = Plan(nodes=_block("a", "b").nodes, result="b")
    for records in ([_done("a", 1)], [_done("a", 1), _done("b", 2)]):
        state = begin(plan, records, trace=True)
        assert forgotten(state, records).records == ()
