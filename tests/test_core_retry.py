"""What is repeated, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.executor import retry


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03", "57014"])
def test_conflicts_are_transient(sqlstate: str) -> None:
    assert retry.is_transient(sqlstate)
    assert not retry.is_lost(sqlstate)


@pytest.mark.parametrize(
    "sqlstate", ["08000", "08006", "08P01", "57P01", "57P02", "57P03", "53100", "53200", "53300"]
)
def test_losses_are_transient(sqlstate: str) -> None:
    assert retry.is_transient(sqlstate)
    assert retry.is_lost(sqlstate)


@pytest.mark.parametrize(
    "sqlstate", ["", "23505", "22012", "42P01", "53400", "57P04", "57000", "XX000", "DX001"]
)
def test_the_rest_is_not(sqlstate: str) -> None:
    assert not retry.is_transient(sqlstate)


@given(st.text(), st.text(), st.integers(min_value=1, max_value=10**6))
def test_delay_grows_to_its_limit_and_is_repeatable(instance: str, path: str, attempt: int) -> None:
    seconds = retry.delay(instance, path, attempt)
    ceiling = min(retry.BACKOFF_SECONDS_MAX, retry.BACKOFF_SECONDS * 2 ** min(attempt - 1, 60))
    assert ceiling / 2 <= seconds <= ceiling
    assert seconds == retry.delay(instance, path, attempt)


def test_delay_drives_branches_apart() -> None:
    waits = {retry.delay("i", f"s{n}", 3) for n in range(100)}
    assert len(waits) == 100
    assert max(waits) - min(waits) > retry.BACKOFF_SECONDS
