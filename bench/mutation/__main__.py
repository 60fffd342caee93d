"""`python -m bench.mutation`: valid workflows, broken in many ways, and the share that each depth finds.

Every workflow of golden/ok is broken in every way, in up to `--each` places; every `--every`-th statement of
the corpus (tests/corpus) in the ways that break SQL. PostgreSQL 18 is asked which of them it refuses.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from bench.mutation import inner as inner
from bench.mutation import outer as outer
from bench.mutation.depths import Depth, offline, with_schema
from bench.mutation.mutants import WAYS
from bench.mutation.oracle import Oracle
from bench.mutation.score import Count, Miss, Scores, run
from bench.mutation.seeds import corpus_seeds, golden_seeds
from tests.postgres import FAST, Server


def main() -> int:
    """Print the table, and what was missed with `--misses`. Exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutation", description=__doc__)
    parser.add_argument("--each", type=int, default=2, help="mutants of a workflow in one way (default 2)")
    parser.add_argument("--every", type=int, default=4, help="statements of the corpus (default each 4th)")
    parser.add_argument("--misses", type=int, default=0, help="how many misses to show for each way")
    parser.add_argument(
        "--depth", choices=("offline", "schema", "exact"), default="exact", help="default: exact"
    )
    options = parser.parse_args()
    server = Server("18", FAST)
    server.start()
    try:
        oracle = Oracle(server)
        seeds = [*golden_seeds(), *corpus_seeds(options.every)]
        with ExitStack() as opened:
            depths: dict[str, Depth] = {"offline": offline}
            if options.depth != "offline":
                depths["--schema"] = opened.enter_context(with_schema(exact=False))
            if options.depth == "exact":
                depths["--exact"] = opened.enter_context(with_schema(exact=True))
            scores = run(seeds, depths, oracle, options.each)
        oracle.close()
    finally:
        server.remove()
    print(
        f"{len(seeds)} workflows, {len(WAYS)} ways; left out: {scores.same} mutants that PostgreSQL takes\n"
    )
    _table(scores, list(depths))
    _misses(scores, options.misses)
    return 0


def _table(scores: Scores, names: list[str]) -> None:
    print(f"{'way':<46}" + "".join(f"{name + ': mutants':>20}{'caught':>9}{'exact':>9}" for name in names))
    totals = {name: Count() for name in names}
    for way in WAYS:
        counts = [scores.counts.get((way.name, name), Count()) for name in names]
        for name, count in zip(names, counts, strict=True):
            totals[name].add(count)
        if any(count.mutants for count in counts):
            print(f"{way.name:<46}" + "".join(_cells(count) for count in counts))
    print(f"{'all':<46}" + "".join(_cells(totals[name]) for name in names))


def _cells(count: Count) -> str:
    return (
        f"{count.mutants:>20}{_share(count.caught, count.mutants):>9}{_share(count.exact, count.mutants):>9}"
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


def _misses(scores: Scores, most: int) -> None:
    shown: dict[tuple[str, str], int] = {}
    for miss in scores.misses:
        key = (miss.depth, miss.way)
        shown[key] = shown.get(key, 0) + 1
        if shown[key] <= most:
            _show(miss)


def _show(miss: Miss) -> None:
    found = "not found" if not miss.problems else "elsewhere"
    print(f"\n--- {miss.depth}, {miss.way}, {miss.seed}: {found}")
    print(miss.mutant.text)
    wanted = [miss.mutant.text[place.start : place.end][:60] for place in miss.mutant.places]
    print(f"    expected at {wanted}")
    if miss.refusal is not None:
        print(f"    PostgreSQL: {miss.refusal.sqlstate} {miss.refusal.message}")
    for problem in miss.problems[:3]:
        where = miss.mutant.text[problem.span.start : problem.span.end][:60]
        print(f"    {problem.code} {problem.message} at {problem.span.start}: {where!r}")


if __name__ == "__main__":
    sys.exit(main())
