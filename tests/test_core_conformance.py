"""The simulator's model keeps to the Store's contract, and the suite notices one that does not."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from dfc.executor.failures import AlreadyRecorded, Beaten, FenceLost
from tests.conformance_store import CHECKS, Check
from tests.simulate.bench import model_bench
from tests.simulate.database import Rules


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_model_conforms(check: Check) -> None:
    asyncio.run(check(model_bench))


@pytest.mark.parametrize(
    "rules", [Rules(fence=False), Rules(unique=False), Rules(cancel_wins=False)], ids=repr
)
def test_suite_notices_a_store_without_a_rule(rules: Rules) -> None:
    noticed = 0
    for check in CHECKS:
        try:
            asyncio.run(check(partial(model_bench, rules)))
        except (AssertionError, pytest.fail.Exception, KeyError, AlreadyRecorded, Beaten, FenceLost):
            noticed += 1
    assert noticed >= 1
