"""Many files through compiler processes, some of them ahead of whoever asks."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from dfc.cli.compiling import as_compiled
from dfc.cli.sources import Compiled, CompileFile, read
from dfc.executor.compiler_child import FileReply
from dfc.executor.compiler_pool import compilers

FILES_PER_PROCESS: Final = 100
"""A process takes about as long to start as to compile so many files."""

AHEAD_MAX: Final = 64
"""Files that have been compiled and not been asked for; it bounds the memory."""


@contextlib.contextmanager
def compiler(
    files: Sequence[str] = (), schema: Sequence[str] = (), *, closely: bool = False, brief: bool = False
) -> Generator[CompileFile]:
    """A function from a file's name and text to what the compiler says.

    `files` are those that will be asked for, in this order: they are compiled ahead. What is then asked with
    another text than the file had is compiled once more. `schema` are files with DDL. `closely`: with what
    PostgreSQL refuses in their statements, whatever database they meet. `brief`: the problems are all that is
    wanted; the workflows have no plans.
    """
    count = max(1, min(os.cpu_count() or 1, len(files) // FILES_PER_PROCESS))
    with compilers(count, schema=[path for path in schema if path != "-"]) as pool:
        compile_one = partial(pool.compile_file, closely=closely, brief=brief)
        ahead = _Ahead(compile_one, [file for file in files if file != "-"] if len(files) > 1 else [], count)

        def one(name: str, text: str) -> Compiled:
            reply = ahead.taken(name, text) or compile_one(name, text)
            return as_compiled(name, text, reply)

        try:
            yield one
        finally:
            ahead.stop()


class _Ahead:
    """Threads that compile files before they are asked for, each with a process."""

    def __init__(
        self, compile_one: Callable[[str, str], FileReply], files: Sequence[str], count: int
    ) -> None:
        self._compile_one = compile_one
        self._left = dict.fromkeys(files)
        self._begun: set[str] = set()
        self._done: dict[str, tuple[str, FileReply] | None] = {}
        self._changed = threading.Condition()
        self._stopped = False
        for _ in range(count if files else 0):
            threading.Thread(target=self._work, daemon=True).start()

    def taken(self, name: str, text: str) -> FileReply | None:
        """What the compiler says of a file with this text; None where it has not been asked this."""
        with self._changed:
            # Nobody waits for what has not begun: that may wait for others to be asked for.
            self._left.pop(name, None)
            if name not in self._begun:
                return None
            self._changed.wait_for(lambda: name in self._done)
            found = self._done.pop(name)
            self._begun.discard(name)
            self._changed.notify_all()
        return None if found is None or found[0] != text else found[1]

    def stop(self) -> None:
        """Let no further file begin."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (file := self._next()) is not None:
            found = None
            # Whoever asks for the file meets what is wrong with it.
            with contextlib.suppress(Exception):
                _refuse_pipe(file)
                text = read(file)
                found = text, self._compile_one(file, text)
            with self._changed:
                self._done[file] = found
                self._changed.notify_all()

    def _next(self) -> str | None:
        """The file that is to be compiled now, when there is room for it; None: no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._left or len(self._done) < AHEAD_MAX)
            if self._stopped or not self._left:
                return None
            file = next(iter(self._left))
            del self._left[file]
            self._begun.add(file)
            return file


def _refuse_pipe(file: str) -> None:
    """Raises OSError for what can be read only once: that is for whoever asks for it."""
    if not Path(file).is_file():
        raise OSError(f"`{file}` is no regular file")
