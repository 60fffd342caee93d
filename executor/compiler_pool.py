"""Compiler processes of a command, without an event loop: each file goes to one that is idle.

They start at once, and load the compiler while the caller still reads. A text that kills its process is
answered with DF590, and the process is replaced.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Generator, Sequence
from typing import Final

from dfc.executor.child import Child
from dfc.executor.compiler_child import (
    REPLY_BYTES_MAX,
    SERVE,
    Allowance,
    Asking,
    CompilerUnavailable,
    FileReply,
    FormatReply,
    Json,
    file_reply,
    format_reply,
    parse,
)

ALLOWED: Final = Allowance()


@contextlib.contextmanager
def compilers(
    count: int = 1, allowance: Allowance = ALLOWED, *, schema: Sequence[str] = ()
) -> Generator[Compilers]:
    """So many compiler processes, or as many as can be started; they are gone afterwards.

    They know the DDL in the files `schema`. Raises CompilerUnavailable.
    """
    pool = Compilers(count, allowance, schema)
    try:
        yield pool
    finally:
        pool.close()


class Compilers:
    """A row of compiler processes. Used from any thread."""

    def __init__(self, count: int, allowance: Allowance, schema: Sequence[str] = ()) -> None:
        self._all = [_Compiler(allowance, schema)]
        with contextlib.suppress(CompilerUnavailable):
            for _ in range(count - 1):
                self._all.append(_Compiler(allowance, schema))
        self._idle: queue.SimpleQueue[_Compiler] = queue.SimpleQueue()
        for compiler in self._all:
            self._idle.put(compiler)

    def compile_file(
        self, name: str, text: str, *, durability: bool = False, closely: bool = False, brief: bool = False
    ) -> FileReply:
        """Compile the text of a file, with reports on durability if wanted. Raises CompilerUnavailable.

        `closely`: with what PostgreSQL refuses in its statements, whatever database they meet. `brief`: of
        workflows only where they are; it is the problems that are wanted.
        """
        request: Json = {"do": "compile_file", "name": name, "text": text, "durability": durability}
        request |= {"closely": True} if closely else {}
        request |= {"brief": True} if brief else {}
        return file_reply(self._ask(request, text))

    def format_file(self, name: str, text: str, *, sql: bool) -> FormatReply:
        """Lay out the text of a file, with `sql` also the SQL of its steps. Raises CompilerUnavailable."""
        request: Json = {"do": "format_file", "name": name, "text": text, "sql": sql}
        return format_reply(self._ask(request, text))

    def _ask(self, request: Json, text: str) -> Json:
        compiler = self._idle.get()
        try:
            return compiler.ask(request, text)
        finally:
            self._idle.put(compiler)

    def close(self) -> None:
        """Stop the processes, whatever they are at."""
        for compiler in self._all:
            compiler.close()


class _Compiler:
    """One process at a time, replaced when it has died."""

    def __init__(self, allowance: Allowance, schema: Sequence[str]) -> None:
        self._allowance = allowance
        self._schema = schema
        self._child = Child(SERVE, schema)
        self._number = 0
        self._closed = False

    @property
    def pid(self) -> int:
        """The id of the process that there is now."""
        return self._child.pid

    def ask(self, request: Json, text: str) -> Json:
        """The answer to a request about a text. Raises CompilerUnavailable."""
        asking = Asking(request, text, self._allowance)
        while asking.answer is None:
            if self._child.ended:
                self._replace()
            self._number += 1
            line = asking.line(self._number)
            outcome = self._child.ask(
                lambda pipe, line=line: pipe.write(line),
                lambda pipe: parse(pipe.readline(REPLY_BYTES_MAX), self._number),
                asking.allowance,
            )
            asking.took(outcome)
        return asking.answer

    def close(self) -> None:
        """End the process, and begin none any more."""
        self._closed = True
        self._child.stop()

    def _replace(self) -> None:
        self._child.stop()
        if not self._closed:
            self._child = Child(SERVE, self._schema)
        if self._closed:
            self._child.stop()
            raise CompilerUnavailable("the compiler processes have been stopped")
