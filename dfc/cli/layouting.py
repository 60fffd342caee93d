"""Many files through one compiler process that lays them out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from dfc.executor.compiler_child import FormatReply
from dfc.executor.compiler_pool import compilers


@contextlib.contextmanager
def layouter(*, sql: bool) -> Generator[Callable[[str, str], FormatReply]]:
    """A function from a file's name and text to its layout, with one process for all files."""
    with compilers() as pool:
        yield lambda name, text: pool.format_file(name, text, sql=sql)
