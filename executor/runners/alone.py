"""Runs one statement in a transaction of its own, wiser with each refusal."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from dfc.executor.runners.around import alone, statement_limit
from dfc.executor.runners.hygiene import ATTEMPTS_MAX, cleaned, exchange
from dfc.executor.runners.meaning import meaning
from dfc.executor.runners.statements import NotDescribed, Sent, Statements
from dfc.executor.runners.step import Step
from dfc.executor.session import Answered, Message, ServerError, Session


async def run_alone(
    statements: Statements, session: Session, step: Step, *after: Message
) -> tuple[Sent, list[Answered]]:
    """Run a statement, and then `after` in the same transaction; the answers to it and to those.

    Raises StepFailed and its like, ConnectionLost, Replace.
    """
    now = asyncio.get_running_loop().time
    limit = statement_limit(step, now())
    attempts = 0
    while True:
        attempts += 1
        sent = around = None
        try:
            sent = await statements.compose(session, step, lambda: alone(step, limit, now(), describing=True))
            around = alone(step, limit, now())
            around = replace(around, after=(*after, *around.after))
            message = sent.message(step, prepare=not step.policy.settings)
            answers = await exchange(session, around, message)
            return sent, answers[: 1 + len(after)]
        except NotDescribed as error:
            if attempts < ATTEMPTS_MAX and await cleaned(session, error.around, error.cause):
                continue
            if attempts < ATTEMPTS_MAX and statements.forget_type(error.cause.fields):
                continue
            cause, around, position = error.cause, error.around, error.position
        except ServerError as error:
            if attempts < ATTEMPTS_MAX and await cleaned(session, around, error):
                continue
            if attempts < ATTEMPTS_MAX and statements.forget_type(error.fields):
                continue
            cause, position = error, None
            if sent is not None and around is not None and error.index == len(around.before):
                if attempts < ATTEMPTS_MAX and statements.learn(step, sent, error):
                    continue
                position = sent.position(error.fields)
        raise meaning(
            step.path, cause, around=around, limit=limit, now=now(), position=position, kind=step.body.kind
        )
