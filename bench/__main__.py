"""`python -m bench [figure ...]`: measures, and prints a table with the command that gives each figure again.

Everything runs against a fresh embedded PostgreSQL with fsync on, in one run, so that the figures can be
compared: the raw commit rate of the same server stands beside the workflows. Most take some seconds;
`loop`, `timers`, `recovery`, `chaos`, `steady` and `open` take minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import bounded, chaos, compiling, recovery, running, steady, validating, waiting
from bench.measure import Figure, Setup, setup

FIGURES: dict[str, Callable[[Setup], Iterable[Figure]]] = {
    "help": compiling.help_page,
    "compile": compiling.compile_times,
    "validate": validating.validation,
    "wheel": compiling.wheel_size,
    "raw": running.raw_commits,
    "start": running.first_and_repeated_start,
    "latency": running.latency,
    "throughput": running.throughput,
    "map": bounded.map_of_many,
    "batches": bounded.map_in_batches,
    "loop": bounded.loop_of_many,
    "timers": waiting.timers,
    "recovery": recovery.recovery,
    "chaos": chaos.chaos,
    "steady": steady.steady,
    "open": steady.steady_beside_open,
    "claims": steady.claims,
}


def main() -> int:
    """Measure what was asked for. Exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="figure", help=f"one or more of {', '.join(FIGURES)}")
    parser.add_argument("--workflows", type=int, default=2000, help="for throughput (default 2000)")
    parser.add_argument("--seconds", type=int, default=5, help="for each pgbench run (default 5)")
    parser.add_argument(
        "--items",
        type=int,
        default=20_000,
        help="for map; 50 times as many rows for batches (default 20000)",
    )
    parser.add_argument(
        "--waiting", type=int, default=2000, help="instances that wait, for timers (default 2000)"
    )
    parser.add_argument(
        "--deaths",
        type=int,
        default=20,
        help="deaths of each kind, for recovery; slow ones a fourth (default 20)",
    )
    parser.add_argument("--kills", type=int, default=100, help="of workers, for chaos (default 100)")
    parser.add_argument("--rounds", type=int, default=2000, help="for loop (default 2000)")
    parser.add_argument("--minutes", type=int, default=2, help="for steady and open, each (default 2)")
    parser.add_argument("--rate", type=int, default=1000, help="starts a second of these (default 1000)")
    options = parser.parse_args()
    unknown = [name for name in options.figures if name not in FIGURES]
    if unknown:
        parser.error(f"unknown figure {unknown[0]}")
    names = options.figures or list(FIGURES)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    print(f"Python {platform.python_version()}, {machine}\n")
    with (
        tempfile.TemporaryDirectory(prefix="dfc-bench-") as folder,
        setup(
            Path(folder),
            workflows=options.workflows,
            seconds=options.seconds,
            items=options.items,
            waiting=options.waiting,
            rounds=options.rounds,
            deaths=options.deaths,
            kills=options.kills,
            minutes=options.minutes,
            rate=options.rate,
        ) as ready,
    ):
        for name in names:
            for figure in FIGURES[name](ready):
                print(f"{figure.name:<58} {figure.value:>14}  {figure.note}".rstrip(), flush=True)
                ready.results[figure.name] = figure.number
            print(f"{'':<58} {'':>14}  python -m bench {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
