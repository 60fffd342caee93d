"""What a text costs grows with its length, and not with the square of it: compared with a tenth of it."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

TIMES = 10
GROWTH_MAX = 4 * TIMES
"""Linear would be TIMES, quadratic its square; what is small is cheaper than its share."""


def assert_linear(work: Callable[[int], object], size: int, *, least_seconds: float = 0.001) -> None:
    """Do `work` of a tenth of the size, and of the size. Only this process counts, not what else there is.

    What takes less than `least_seconds` is taken to take that: shorter times say nothing.
    """

    def seconds(size: int) -> float:
        begin = process_time()
        work(size)
        return process_time() - begin

    seconds(min(10, size))  # what is made once
    small = min(seconds(size // TIMES) for _ in range(2))
    large = seconds(size)
    if large >= GROWTH_MAX * max(small, least_seconds):
        large = min(large, seconds(size))
    assert large < GROWTH_MAX * max(small, least_seconds), f"{small:.4f} s, ten times as much {large:.4f} s"
