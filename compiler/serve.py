"""The compiler process: one JSON object a line in, one a line out, in order (docs/internals.md).

It has no database and no network; its parent bounds its memory and CPU time and replaces it when it dies.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

_NEW_OBJECTS_MAX = 100_000


def main() -> None:
    """Answer standard input until it ends. Whatever else prints goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(sys.stdin.buffer, answers, tuple(_texts(sys.argv[1:])))
    # Everything is flushed; taking the interpreter down in order would only cost time.
    os._exit(0)


def _texts(paths: Iterable[str]) -> Iterator[str]:
    """The files with DDL that are named to the process. What cannot be read, whoever asks says."""
    for path in paths:
        with contextlib.suppress(OSError), Path(path).open("rb") as file:
            yield file.read().decode(errors="replace")


def serve(requests: Iterable[bytes], answers: BinaryIO, schema: tuple[str, ...] = ()) -> None:
    """Answer each line. Raises BrokenPipeError when nobody reads the answers."""
    # A fifth of the start is garbage collection that finds nothing, so the collector waits for the imports.
    gc.disable()
    from dfc.compiler.answer import reply

    gc.freeze()
    # Trees have no circles, and looking for some each time they grow takes a tenth of a large file's time.
    gc.set_threshold(_NEW_OBJECTS_MAX)
    gc.enable()
    for line in requests:
        if line.strip():
            answers.write(reply(line, schema))
            answers.flush()


if __name__ == "__main__":
    main()
