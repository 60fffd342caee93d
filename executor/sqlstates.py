"""The SQLSTATEs that the executor itself acts on (docs/internals.md). What is transient: retry.py."""

from __future__ import annotations

from typing import Final

LOST: Final = "08006"
"""The connection is gone; whether what was under way has committed is not known."""

FENCE_LOST: Final = "DX001"
RECORDED: Final = "DX002"
BEATEN: Final = "DX004"
NO_STATEMENT: Final = "26000"
