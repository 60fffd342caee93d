"""`python -m tests.simulate --seed 1 --runs 2000`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulate.run import Failure, simulate


def main() -> int:
    """Run; print what happened. 1 when an invariant broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=2000)
    arguments = parser.parse_args()
    begun = time.perf_counter()
    try:
        report = simulate(arguments.seed, arguments.runs)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    seconds = time.perf_counter() - begun
    print(f"{report.runs} runs, {report.steps} steps, {report.callbacks} callbacks in {seconds:.1f} s")
    print(f"{report.seconds:.0f} simulated seconds")
    print("ends: " + ", ".join(f"{count} {end}" for end, count in sorted(report.ends.items())))
    for kind, count in sorted(report.fired.items()):
        print(f"{count:8} {kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
