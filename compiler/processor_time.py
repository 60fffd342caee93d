"""A bound on the processor time that this process spends on one thing, kept by the system itself.

Only what it computes counts, not what it waits for: on a busy machine an answer comes later, and it comes.
"""

from __future__ import annotations

import contextlib
import math
import resource
from collections.abc import Generator


@contextlib.contextmanager
def processor_time(seconds_max: float | None) -> Generator[None]:
    """End the process by SIGXCPU where the block takes more than so many seconds; None: as long as it takes.

    The system counts whole seconds over the life of the process, so that it may be one more.
    """
    if seconds_max is None:
        yield
        return
    before, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted = math.ceil(used.ru_utime + used.ru_stime + seconds_max)
    limits = [limit for limit in (wanted, before) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_CPU, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (before, hard))
