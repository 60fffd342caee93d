"""Runs examples/embed.dfsql against a stand-in for an embedding API.

python examples/embed.py

The stand-in embeds by hashing words into 64 dimensions, so that texts with common words are near each other.
Every third request it answers 503, as a busy API does.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from hashlib import blake2b
from math import sqrt

from stand_in import Reply, StandIn

DIMENSIONS = 64
embedded: Counter[tuple[int, int]] = Counter()
requests = 0


def embedding(text: str) -> list[float]:
    """A vector of length 1: each word counts in one of the dimensions."""
    found = [0.0] * DIMENSIONS
    for word in text.lower().replace(".", " ").replace(",", " ").split():
        found[int.from_bytes(blake2b(word.encode(), digest_size=4).digest(), "big") % DIMENSIONS] += 1
    length = sqrt(sum(value * value for value in found)) or 1.0
    return [round(value / length, 6) for value in found]


def reply(method: str, path: str, body: str) -> Reply:
    """The answer of the API."""
    global requests
    requests += 1
    if requests % 3 == 0:
        return 503, {"error": "too busy"}
    data: list[dict[str, object]] = []
    for chunk in json.loads(body)["input"]:
        embedded[chunk["document_id"], chunk["number"]] += 1
        data.append({**chunk, "embedding": embedding(chunk["body"])})
    return 200, {"data": data}


if __name__ == "__main__":
    code = StandIn(8766, reply).run("embed.dfsql")
    twice = sum(count > 1 for count in embedded.values())
    print(f"{requests} requests, {len(embedded)} sentences embedded, {twice} of them twice", file=sys.stderr)
    sys.exit(code)
