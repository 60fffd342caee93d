"""Runs examples/enrich.dfsql against a stand-in for an API about companies.

python examples/enrich.py

Of the requests for a company the stand-in answers the first with 503 for every third company, and every one
with 503 for number 13; it has never heard of number 7.
"""

from __future__ import annotations

import sys
from collections import Counter

from stand_in import Reply, StandIn

asked: Counter[int] = Counter()


def reply(method: str, path: str, body: str) -> Reply:
    """The answer of the API."""
    number = int(path.rsplit("/", 1)[-1])
    asked[number] += 1
    if number == 13 or (number % 3 == 0 and asked[number] == 1):
        return 503, {"error": "try later"}
    if number == 7:
        return 404, {"error": "no such company"}
    return 200, {"country": ["IT", "FR", "JP"][number % 3], "employees": number * 11}


if __name__ == "__main__":
    code = StandIn(8767, reply).run("enrich.dfsql")
    print(f"{sum(asked.values())} requests for {len(asked)} companies", file=sys.stderr)
    sys.exit(code)
