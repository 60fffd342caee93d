"""How deep a run of the tests goes: the default one takes minutes, that of `.ci/full` as long as it takes."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "DFC_TEST_DEPTH"
"""`full` in the environment: all examples of all property tests."""


def is_full() -> bool:
    """Whether everything is wanted, as long as it takes."""
    return os.environ.get(VARIABLE) == "full"


def depth(examples: int, share: int = 4) -> int:
    """How many of `examples` a property test tries: one in `share` by default, at least four."""
    return examples if is_full() else max(4, examples // share)
