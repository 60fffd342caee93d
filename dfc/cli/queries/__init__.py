"""The statements that the command line sends, one a file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import LiteralString, cast

_FOLDER = Path(__file__).parent


@cache
def query(name: str) -> LiteralString:
    """The text of `name.sql` in this folder."""
    # The files are part of the program, so their text is as literal as one in Python.
    return cast(LiteralString, (_FOLDER / f"{name}.sql").read_text(encoding="utf-8"))
