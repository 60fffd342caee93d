"""Settings that a step cannot have, because the executor sets them itself.

The compiler refuses them where they are written, the executor in plans that were stored before it did; the
list of the SQL door (`df._own_setting`) is held against this one by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BY_SUBMITTER: Final = "the checkpoint is written by the submitter"
_HAS_BEGUN: Final = "the transaction has begun before it"
_TIME_LIMIT: Final = "a time limit is a policy of its own"
_PINNED: Final = "the form of stored results, or the safety of the session, depends on it"

OWN: Final[Mapping[str, str]] = {
    "role": _BY_SUBMITTER,
    "session_authorization": _BY_SUBMITTER,
    "client_encoding": "the executor reads UTF-8",
    "transaction_isolation": _HAS_BEGUN,
    "transaction_read_only": "the checkpoint is written in the same transaction",
    "transaction_deferrable": _HAS_BEGUN,
    "statement_timeout": _TIME_LIMIT,
    "transaction_timeout": _TIME_LIMIT,
    "datestyle": _PINNED,
    "intervalstyle": _PINNED,
    "bytea_output": _PINNED,
    "extra_float_digits": _PINNED,
    "standard_conforming_strings": _PINNED,
    "row_security": _PINNED,
    "lc_monetary": _PINNED,
    "log_parameter_max_length_on_error": _PINNED,
    "client_connection_check_interval": _PINNED,
    "default_transaction_isolation": _PINNED,
    "default_transaction_read_only": _PINNED,
    "default_transaction_deferrable": _PINNED,
    "idle_session_timeout": _PINNED,
    "idle_in_transaction_session_timeout": _PINNED,
}
"""Such a setting, in lower case, and why a step cannot have it."""

_ISOLATION: Final = "write `isolation => ...` beside `settings`"
_TIMEOUT: Final = "write `timeout => ...` beside `settings`"
_INSTEAD: Final = {
    "transaction_isolation": _ISOLATION,
    "default_transaction_isolation": _ISOLATION,
    "statement_timeout": _TIMEOUT,
    "transaction_timeout": _TIMEOUT,
}


def why_not(name: str) -> str | None:
    """Why a step cannot have a setting; None when it may."""
    lower = name.lower()
    return "settings of dfc are its own" if lower.startswith("df.") else OWN.get(lower)


def instead_of(name: str) -> str | None:
    """What is to be written in its place, where there is something."""
    return _INSTEAD.get(name.lower())
