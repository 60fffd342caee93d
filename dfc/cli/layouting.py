"""Many files through one compiler process that lays them out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator

from dfc.executor.compilation import CompilerProcess
from dfc.executor.compiler_child import FormatReply


@contextlib.contextmanager
def layouter(*, sql: bool) -> Generator[Callable[[str, str], FormatReply]]:
    """A function from a file's name and text to its layout, with one process for all files."""
    process = CompilerProcess()
    with asyncio.Runner() as runner:

        def one(name: str, text: str) -> FormatReply:
            return runner.run(process.format_file(name, text, sql=sql))

        try:
            yield one
        finally:
            runner.run(process.close())
