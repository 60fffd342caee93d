"""Whether what is printed has colours."""

from __future__ import annotations

import os
from typing import TextIO


def has_color(stream: TextIO) -> bool:
    """Whether colours are wanted and can be seen: see https://no-color.org."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()
