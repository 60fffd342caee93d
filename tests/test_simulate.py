"""The simulator: a fixed batch holds, every kind of fault fires, and it notices deliberate mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulate.mutants import SHELL, Mutant
from tests.simulate.mutants_core import CORE
from tests.simulate.run import Failure, Report, Run, simulate

RUNS = 400
MUTANT_RUNS = 400


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
    ],
)
def test_every_kind_of_fault_fired(batch: Report, kind: str) -> None:
    assert batch.fired[kind] >= 20


def test_every_end_was_reached(batch: Report) -> None:
    assert all(batch.ends[end] >= 20 for end in ("completed", "failed", "cancelled"))


def test_seed_decides_everything() -> None:
    for seed in range(20):
        one, other = Run(seed).execute(), Run(seed).execute()
        assert (one.callbacks, one.seconds, one.fired, one.ends) == (
            other.callbacks,
            other.seconds,
            other.fired,
            other.ends,
        )


@pytest.mark.parametrize("mutant", (*SHELL, *CORE), ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant) -> None:
    with mutant.active(), pytest.raises(Failure, match=r"replay: python -m tests\.simulate --seed \d+"):
        for seed in (mutant.seed, *range(1, MUTANT_RUNS + 1)):
            Run(seed, mutant.rules()).execute()
