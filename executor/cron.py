"""When a cron expression fires. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim


def next_ticks(cron: str, zone: str | None, after: datetime, n: int) -> list[datetime]:
    """The next `n` ticks later than `after`; fewer where it does not fire so often."""
    begin = after.astimezone(UTC if zone is None else ZoneInfo(zone))
    return list(islice(CronSim(cron, begin), n))
