"""Whether a worker may run on a database, before it registers there."""

from __future__ import annotations

from dfc.compiler.plan import COMPILER_VERSION
from dfc.executor import migrate, retry
from dfc.executor.queries import query
from dfc.executor.session import Message, ServerError, Session


class Refused(Exception):
    """This worker must not run here; the message is one line that says what to do."""


async def introduce(session: Session) -> tuple[str, str]:
    """Role and database of the session, for who is part of a worker that has been admitted."""
    [who] = await session.exchange(Message(query("session")))
    return who.text(0, 1) or "", who.text(0, 2) or ""


async def admit(session: Session) -> tuple[str, str]:
    """Role and database of the session. Raises Refused where a worker must not run."""
    try:
        [who] = await session.exchange(Message(query("session")))
        if int(who.text(0, 0) or 0) != session.backend_pid:
            raise Refused(
                "this connection goes through a transaction pooler (PgBouncer): connect the worker directly"
            )
        role, database = who.text(0, 1) or "", who.text(0, 2) or ""
        if who.raw(0, 3) != b"t":
            raise Refused(f"database `{database}` has no df schema: run `dfc init` first")
        [meta] = await session.exchange(Message(query("meta")))
        if len(meta) != 1:
            raise Refused(f"the df schema of database `{database}` is not complete: run `dfc init`")
        installed, wanted = int(meta.text(0, 0) or 0), migrate.schema_version()
        if installed < wanted:
            raise Refused(
                f"the df schema has version {installed}, this program needs {wanted}: run `dfc init`"
            )
        if installed > wanted:
            raise Refused(f"the df schema has version {installed}, this program knows {wanted}: upgrade dfc")
        compiler = int(meta.text(0, 4) or 0)
        if compiler > COMPILER_VERSION:
            raise Refused(
                f"workflows here are compiled by version {compiler}, this program has {COMPILER_VERSION}: "
                "upgrade dfc"
            )
        if meta.raw(0, 2) != meta.raw(0, 3) or (
            meta.raw(0, 1) is not None
            and (await session.exchange(Message(query("cluster"))))[0].raw(0, 0) != meta.raw(0, 1)
        ):
            raise Refused("this database is a copy: dfc adopt")
    except ServerError as error:
        if retry.is_transient(error.fields.sqlstate):
            raise
        raise Refused(f"the df schema cannot be used: {error.fields.message}") from None
    return role, database
