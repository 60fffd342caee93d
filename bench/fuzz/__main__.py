"""`python -m bench.fuzz --minutes 10`: the parser and the validator get inputs that nobody would write.

A process of its own looks at each, so that a crash of a library is found as well; inputs that fail are kept
in a folder, and `--again FILE` looks at one of these. Exit code 1 when there is any. With `--shapes` instead:
the CPU time of bad files of n and 2n characters, and the ratio.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from pathlib import Path

from bench.fuzz.inputs import text_of
from bench.fuzz.look import look
from bench.fuzz.shapes import SHAPES

SLOW_SECONDS = 5.0
BATCH = 500


def main() -> int:
    """Run until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default 10)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first input (default 0)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="where failing inputs go")
    parser.add_argument("--again", type=Path, help="look at one input")
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--shapes", type=int, metavar="N", help="bad files of N and 2N characters instead")
    options = parser.parse_args()
    if options.again is not None:
        look(options.again.read_bytes())
        return 0
    if options.shapes is not None:
        return _shapes(options.shapes)
    if options.batch is not None:
        return _batch(options.batch, options.keep)
    return _run(options.minutes, options.first, options.keep)


def _run(minutes: float, first: int, keep: Path) -> int:
    end = time.monotonic() + 60 * minutes
    number, valid, failed = first, 0, 0
    while time.monotonic() < end:
        command = [sys.executable, "-m", "bench.fuzz", "--batch", str(number), "--keep", str(keep)]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = child.stdout.splitlines()
        done = [line for line in lines if line.startswith("done ")]
        valid += sum(line.endswith("valid") for line in done)
        for line in lines:
            if not line.startswith("done "):
                failed += 1
                print(line, flush=True)
        if child.returncode != 0:
            number += len(done)
            failed += 1
            print(
                f"crash: {_kept(keep, text_of(number))} (input {number}): {child.stderr[-300:]}", flush=True
            )
            number += 1
        else:
            number += BATCH
    print(f"{number - first} inputs, {valid} of them valid workflows, {failed} failures")
    return 1 if failed else 0


def _batch(first: int, keep: Path) -> int:
    for number in range(first, first + BATCH):
        data = text_of(number)
        began = time.process_time()
        valid = False
        try:
            valid = look(data)
        except Exception as wrong:
            said = f"{type(wrong).__name__}: {wrong}".replace("\n", " ")[:200]
            print(f"failure: {_kept(keep, data)} (input {number}): {said}")
        if time.process_time() - began > SLOW_SECONDS:
            print(f"slow: {_kept(keep, data)} (input {number}, {len(data)} bytes)")
        print(f"done {number} {'valid' if valid else ''}", flush=True)
    return 0


def _kept(keep: Path, data: bytes) -> Path:
    keep.mkdir(exist_ok=True)
    path = keep / f"{hashlib.sha256(data).hexdigest()[:12]}.dfsql"
    path.write_bytes(data)
    return path


def _shapes(size: int) -> int:
    look(b"'SELECT 1';")
    print(f"{'bad file':<44}{f'{size:,}':>12}{f'{2 * size:,}':>12}{'ratio':>8}")
    for name, make in SHAPES.items():
        spent: list[float] = []
        for length in (size, 2 * size):
            data = make(length).encode()
            began = time.process_time()
            look(data)
            spent.append(time.process_time() - began)
        ratio = f"{spent[1] / spent[0]:.1f}" if spent[0] > 0.05 else ""
        print(f"{name:<44}{spent[0]:>10.2f} s{spent[1]:>10.2f} s{ratio:>8}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
