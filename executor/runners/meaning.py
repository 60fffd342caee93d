"""What an error of PostgreSQL means for a step: the words of `ports`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from dfc.executor import retry, sqlstates
from dfc.executor.failures import AlreadyRecorded, Beaten, FenceLost, StepFailed, Transient
from dfc.executor.journal import StepError
from dfc.executor.runners.around import Around
from dfc.executor.runners.step import Limit
from dfc.executor.session import Fields, ServerError

_OURS: Final = re.compile(r" df(?:_markers)?\.(checkpoint|checkpoint_items|commit_steps|map_fill|_\w+)\(")
"""Where in PostgreSQL's context an error is one of our functions', in every language of messages."""

_SAYS: Final = {
    sqlstates.FENCE_LOST: FenceLost,
    sqlstates.RECORDED: AlreadyRecorded,
    sqlstates.BEATEN: Beaten,
}
_COMMITS: Final = frozenset({"call", "do"})
_COMMITS_HINT: Final = (
    "The {kind} ends transactions itself: write `df.sql(..., autocommit => true)`. "
    "It then runs outside of a transaction, and may run again after a crash."
)


def meaning(
    path: str,
    error: ServerError,
    *,
    around: Around | None = None,
    limit: Limit | None = None,
    now: float = 0.0,
    position: int | None = None,
    kind: str = "",
) -> Exception:
    """The exception to raise for an error that a step's exchange was answered with.

    Args:
        path: what was run.
        error: what the server said.
        around: what else was in the exchange.
        limit: the time limit that counts for the step.
        now: when the answer came.
        position: where in the node's SQL the error is.
        kind: the command, where `autocommit => true` would be possible.
    """
    fields = error.fields
    if fields.sqlstate in _SAYS and _OURS.search((fields.context or "").split("\n", 1)[0]):
        return _SAYS[fields.sqlstate](fields.message)
    if fields.sqlstate == sqlstates.CANCELLED and limit is not None and limit.passed(now):
        return out_of_time(path, limit)
    if retry.is_transient(fields.sqlstate):
        return Transient(fields.message, fields.sqlstate)
    failure = _failure(path, fields, position)
    if around is not None and error.index in around.settings:
        name = around.settings[error.index]
        failure = replace(failure, message=f"setting `{name}` of step `{path}`: {fields.message}")
    if fields.sqlstate == sqlstates.IN_TRANSACTION and fields.hint is None and kind in _COMMITS:
        failure = replace(failure, hint=_COMMITS_HINT.format(kind=kind.upper()))
    return StepFailed(failure)


def out_of_time(path: str, limit: Limit) -> StepFailed:
    """The failure of what has taken longer than it may."""
    return StepFailed(StepError(step=path, message=limit.message, sqlstate=sqlstates.TIMEOUT))


def _failure(path: str, fields: Fields, position: int | None) -> StepError:
    return StepError(
        step=path,
        message=fields.message,
        sqlstate=fields.sqlstate,
        detail=fields.detail,
        hint=fields.hint,
        position=position,
    )
