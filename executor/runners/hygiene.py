"""Sessions on which an earlier step has left something, and transactions that must not stay open."""

from __future__ import annotations

from typing import Final

from dfc.executor.connections import clean
from dfc.executor.runners.around import Around
from dfc.executor.session import PREPARED_PREFIX, Answered, Message, ServerError, Session
from dfc.executor.sqlstates import NO_STATEMENT

ATTEMPTS_MAX: Final = 4
"""How often the same thing (a step, a guard, the beginning of a transaction) is sent on one session, each
time wiser: none of the attempts had an effect."""


class Replace(Exception):
    """The session is of no use any more; nothing of what was to be done has happened: take another."""


async def exchange(session: Session, around: Around, message: Message) -> list[Answered]:
    """The answers to a message and what comes after it, in an exchange that leaves no transaction open."""
    try:
        answers = await session.exchange(*around.before, message, *around.after)
    except BaseException:
        await session.roll_back()
        raise
    return answers[len(around.before) :]


async def cleaned(session: Session, around: Around | None, error: ServerError) -> bool:
    """Whether not the step was at fault but what one before it has left; then the session is as new.

    Nothing of the step has happened. Raises Replace where the session cannot be made as new.
    """
    fields = error.fields
    # Whatever the guard fails with: a role that may not call it, a time limit, another encoding. Without one
    # around it, it was a question of ours.
    unclean = error.index <= (0 if around is None or around.guard is None else around.guard)
    deallocated = fields.sqlstate == NO_STATEMENT and PREPARED_PREFIX.decode() in fields.message
    if not unclean and not deallocated:
        return False
    await session.roll_back()
    await clean(session)
    if not session.alive:
        raise Replace
    return True
