"""The simulator: a fixed batch holds, every kind of fault fires, and it notices deliberate mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfc.compiler.plan import Block, Plan
from dfc.compiler.plan_verify import verify
from tests.depth import depth
from tests.simulate.cases import read_case
from tests.simulate.mutants import SHELL, Mutant
from tests.simulate.mutants_core import CORE
from tests.simulate.mutants_waits import WAITS
from tests.simulate.places import nodes_in
from tests.simulate.run import Failure, Report, Run, random_case, simulate

RUNS = depth(1000)
MUTANT_RUNS = 1500
RARE = Path(__file__).parent / "simulate" / "rare"
FAILED_BEFORE = Path(__file__).parent / "simulate" / "failed_before"
"""Cases that the simulator has found, each named for the mistake that it showed."""


@pytest.fixture(scope="module")
def batch() -> Iterator[Report]:
    yield simulate(1, RUNS)


def test_batch_holds(batch: Report) -> None:
    assert batch.runs == RUNS
    assert batch.steps > RUNS


@pytest.mark.parametrize(
    "kind",
    [
        "answer lost",
        "request lost",
        "served late",
        "refused",
        "crash",
        "pause",
        "restart",
        "leave",
        "wake",
        "conflict",
        "step fails",
        "cancel requested",
        "takeover",
        "fold law",
        "turn",
        "hold",
        "given up for a pause",
        "clock forward",
        "clock back",
    ],
)
def test_every_kind_of_fault_fired(batch: Report, kind: str) -> None:
    assert batch.fired[kind] >= 20


@pytest.mark.parametrize("kind", ["parked", "time limit"])
def test_what_is_seldom_happened(batch: Report, kind: str) -> None:
    assert batch.fired[kind] >= 3


def test_every_end_was_reached(batch: Report) -> None:
    assert all(batch.ends[end] >= 20 for end in ("completed", "failed", "cancelled"))
    assert batch.ends["compensated"] >= 5


@pytest.mark.parametrize("case", sorted(FAILED_BEFORE.glob("*.json")), ids=lambda case: case.stem)
def test_what_has_failed_before_holds(case: Path) -> None:
    made, seed = read_case(case.read_text(encoding="utf-8"))
    Run(seed, case=made).execute()


def test_seed_decides_everything() -> None:
    for seed in range(20):
        one, other = Run(seed).execute(), Run(seed).execute()
        assert (one.callbacks, one.seconds, one.fired, one.ends) == (
            other.callbacks,
            other.seconds,
            other.fired,
            other.ends,
        )


def test_plans_are_valid() -> None:
    for seed in range(300):
        for made in random_case(seed).plans:
            assert verify(made.plan) == ()


def test_every_kind_of_node_is_in_a_plan() -> None:
    kinds = {
        type(node).__name__
        for seed in range(100)
        for made in random_case(seed).plans
        for node in nodes_in(_block(made.plan))
    }
    assert len(kinds) == 21


def _block(plan: Plan) -> Block:
    return Block(nodes=plan.nodes, result=plan.result)


@pytest.mark.parametrize("mutant", (*SHELL, *CORE, *WAITS), ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant) -> None:
    with (
        mutant.active(),
        pytest.raises(Failure, match=r"replay: python -m tests\.simulate --seed \d+") as noticed,
    ):
        if mutant.rare is not None:
            case, _ = read_case((RARE / f"{mutant.rare}.json").read_text(encoding="utf-8"))
            Run(mutant.seed, mutant.rules(), case).execute()
        for seed in (mutant.seed, *range(1, MUTANT_RUNS + 1)):
            Run(seed, mutant.rules()).execute()
    # It was noticed by what it does, and not because it cannot run.
    assert not re.search(r"\b(Type|Attribute|Key|Index|Name)Error\b", str(noticed.value))
