"""The SQLSTATEs that the executor itself acts on (docs/internals.md). What is transient: retry.py."""

from __future__ import annotations

from typing import Final

LOST: Final = "08006"
"""The connection is gone; whether what was under way has committed is not known."""

FENCE_LOST: Final = "DX001"
RECORDED: Final = "DX002"
BEATEN: Final = "DX004"
OLD_PERMIT: Final = "DX005"
NO_STATEMENT: Final = "26000"
CANCELLED: Final = "57014"
CONFLICT: Final = "40001"
IN_TRANSACTION: Final = "2D000"
"""COMMIT or ROLLBACK where there is a transaction around."""

TIMEOUT: Final = "timeout"
"""Of ours: a time limit of a policy, or of a transaction of several steps."""
