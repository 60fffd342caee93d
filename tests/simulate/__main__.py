"""`python -m tests.simulate --seed 1 --runs 2000`; `--seed N --shrink` makes a failing run small."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from dfc.compiler.plan_print import plan_text
from tests.simulate.cases import read_case, written_case
from tests.simulate.run import Failure, Run, simulate
from tests.simulate.shrink import shrink


def main() -> int:
    """Run; print what happened. 1 when an invariant broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--shrink", action="store_true", help="make the failing case of --seed smaller")
    parser.add_argument("--case", type=Path, help="run a case that --shrink has printed")
    arguments = parser.parse_args()
    try:
        if arguments.shrink:
            return _shrink(arguments.seed)
        if arguments.case is not None:
            case, seed = read_case(arguments.case.read_text(encoding="utf-8"))
            Run(seed, case=case).execute()
            print("it holds")
            return 0
        _batch(arguments.seed, arguments.runs)
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def _shrink(seed: int) -> int:
    case, seed, problem = shrink(seed, lambda text: print(text, file=sys.stderr, flush=True))
    for made in case.plans:
        print(plan_text(made.plan))
        print(f"bound to fail: {', '.join(sorted(made.doomed)) or 'nothing'}")
    print(f"faults: { {kind: count for kind, count in case.faults.items() if count} }")
    print(f"badness {case.badness}, slowness {case.slowness}, seed {seed}")
    print(problem.partition("\n")[0])
    print("replay: save the next line, python -m tests.simulate --case FILE")
    print(written_case(case, seed))
    return 1


def _batch(seed: int, runs: int) -> None:
    begun = time.perf_counter()
    report = simulate(seed, runs)
    seconds = time.perf_counter() - begun
    print(f"{report.runs} runs, {report.steps} steps, {report.callbacks} callbacks in {seconds:.1f} s")
    print(f"{report.seconds:.0f} simulated seconds")
    print("ends: " + ", ".join(f"{count} {end}" for end, count in sorted(report.ends.items())))
    for kind, count in sorted(report.fired.items()):
        print(f"{count:8} {kind}")


if __name__ == "__main__":
    sys.exit(main())
