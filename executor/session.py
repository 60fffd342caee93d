"""One PostgreSQL connection, spoken to in pipeline mode: several messages, one round trip, one transaction.

What psycopg offers above this level (cursors, adapters, one wait object a message) costs more processor time
than PostgreSQL needs for a small step, so the executor sends its few fixed messages itself, through
psycopg's libpq. A `Session` has one reader on the event loop for its whole life, and one exchange at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGresult

PREPARED_MAX: Final = 256
PREPARED_PREFIX: Final = b"_pg3_dfc_"
CANCEL_SECONDS_MAX: Final = 5.0
_Key = tuple[str, tuple[int, ...]]
_FAILED: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
_COPIES: Final = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)
_SYNC: Final = pq.ExecStatus.PIPELINE_SYNC


class ConnectionLost(Exception):
    """The connection is gone. Whether what was under way has committed is not known."""


@dataclass(frozen=True, slots=True)
class Fields:
    """What PostgreSQL says of an error. Positions are code points from 1, as PostgreSQL counts them."""

    sqlstate: str
    message: str
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    internal_position: int | None = None
    internal_query: str | None = None
    context: str | None = None


_COPYING: Final = Fields("0A000", "COPY from STDIN or to STDOUT is not possible in a step")


class ServerError(Exception):
    """PostgreSQL refused. `index` is the message of the exchange that failed; its length means at commit."""

    def __init__(self, fields: Fields, index: int) -> None:
        super().__init__(fields.message)
        self.fields = fields
        self.index = index


@dataclass(frozen=True, slots=True)
class Message:
    """A statement with its parameters in text form. `types` are OIDs (0: PostgreSQL decides), or empty.

    `prepare` says that the text is fixed and worth a prepared statement. `describe` asks for columns and
    parameter types instead of running it.
    """

    text: str
    values: Sequence[str | bytes | None] = ()
    types: tuple[int, ...] = ()
    prepare: bool = False
    describe: bool = False


@dataclass(frozen=True, slots=True)
class _Encoded:
    text: bytes
    values: list[bytes | None]
    types: tuple[int, ...] | None
    describe: bool
    key: _Key | None
    """Set when the statement is to be prepared."""


@dataclass(frozen=True, slots=True)
class _Expected:
    """The results that will come for a message: some to be skipped, then its own."""

    before: int = 0
    prepared: _Key | None = None
    """The statement whose Parse the first of them answers."""


class Answered:
    """The rows that answered a message, read on demand."""

    __slots__ = ("_result",)

    def __init__(self, result: PGresult) -> None:
        self._result = result

    def __len__(self) -> int:
        return self._result.ntuples

    def raw(self, row: int, column: int) -> bytes | None:
        """A value in PostgreSQL's text form, UTF-8."""
        return self._result.get_value(row, column)

    def text(self, row: int, column: int) -> str | None:
        """A value in PostgreSQL's text form."""
        value = self._result.get_value(row, column)
        return None if value is None else value.decode()

    @property
    def tag(self) -> str:
        """The command tag, such as `INSERT 0 1`."""
        return (self._result.command_status or b"").decode()

    @property
    def affected(self) -> int:
        """The number of rows in the command tag; 0 where it has none."""
        return self._result.command_tuples or 0

    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple((self._result.fname(i) or b"").decode() for i in range(self._result.nfields))

    def column_types(self) -> tuple[int, ...]:
        """The type OIDs of the columns (of a domain its base type)."""
        return tuple(self._result.ftype(i) for i in range(self._result.nfields))


class Session:
    """A connection in pipeline mode. Not for two tasks at once: whoever holds it has it alone."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._waiter: asyncio.Future[None] | None = None
        self._results: list[PGresult] = []
        self._error: str | None = None
        self._writing = False
        self._prepared: OrderedDict[_Key, bytes | None] = OrderedDict()
        self._names = 0
        self.on_notify: Callable[[str], None] | None = None
        self.on_lost: Callable[[str], None] | None = None
        self._pgconn.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._readable)

    @classmethod
    async def connect(cls, conninfo: str) -> Self:
        """Connect. Raises psycopg.OperationalError."""
        return cls(await psycopg.AsyncConnection.connect(conninfo, autocommit=True))

    @property
    def alive(self) -> bool:
        """Whether the connection can be used, as far as is known."""
        return self._error is None

    @property
    def in_transaction(self) -> bool:
        """Whether the last exchange has left a transaction open, be it failed."""
        return self.alive and self._pgconn.transaction_status != pq.TransactionStatus.IDLE

    @property
    def backend_pid(self) -> int:
        """The process id that the server named when the connection was made."""
        return self._pgconn.backend_pid

    async def exchange(self, *messages: Message) -> list[Answered]:
        """Send messages and one Sync; return one answer a message, when the transaction has committed.

        All messages are one implicit transaction, unless a BEGIN or COMMIT is among them. Raises ServerError
        for the first error (an implicit transaction is rolled back), ConnectionLost. Cancelling the call
        cancels the statement on the server; then the session is usable again, or closed (`alive`).
        """
        if self._error is not None:
            raise ConnectionLost(self._error)
        assert self._waiter is None, "one exchange at a time"
        encoded = [_encode(message) for message in messages]
        try:
            expected = [self._send(message) for message in encoded]
            self._pgconn.pipeline_sync()
        except psycopg.OperationalError as error:
            self._lost(str(error))
            raise ConnectionLost(str(error)) from None
        except BaseException:
            # Messages that nobody waits for are under way: the next exchange must not get their answers.
            self._lost("a message could not be sent")
            raise
        self._results = []
        waiter = self._waiter = self._loop.create_future()
        self._flush()
        try:
            await asyncio.shield(waiter)
        except asyncio.CancelledError:
            await self._interrupt(waiter)
            raise
        finally:
            self._waiter = None
        return self._answers(expected)

    async def roll_back(self) -> None:
        """End a transaction that is open; closes the session where that cannot be done."""
        if not self.in_transaction:
            return
        try:
            await self.exchange(Message("ROLLBACK"))
        except (ServerError, ConnectionLost):
            self.close()
        except BaseException:
            self.close()
            raise

    async def interrupt(self) -> None:
        """Cancel the statement of the exchange that another task waits for, and return when that has ended.

        It may have come to its end before. Closes the session when the server does not react.
        """
        if self._waiter is not None:
            await self._interrupt(self._waiter)

    def forget_prepared(self) -> None:
        """Take note that the prepared statements are gone, or not ours any more."""
        self._prepared.clear()

    def close(self) -> None:
        """Close without waiting for the server."""
        self._lost("the connection was closed")

    def _send(self, message: _Encoded) -> _Expected:
        """Hand a message to libpq; return which results will answer it."""
        if message.describe:
            self._pgconn.send_prepare(b"", message.text, message.types)
            self._pgconn.send_describe_prepared(b"")
            return _Expected(before=1)
        key = message.key
        if key is None:
            self._pgconn.send_query_params(message.text, message.values, message.types)
            return _Expected()
        name = self._prepared.get(key)
        if name is not None:
            self._prepared.move_to_end(key)
            self._pgconn.send_query_prepared(name, message.values)
            return _Expected()
        if key not in self._prepared:  # worth preparing only when it comes a second time
            removed = self._evict()
            self._prepared[key] = None
            self._pgconn.send_query_params(message.text, message.values, message.types)
            return _Expected(before=removed)
        self._names += 1
        name = b"%b%d" % (PREPARED_PREFIX, self._names)
        self._pgconn.send_prepare(name, message.text, message.types)
        self._pgconn.send_query_prepared(name, message.values)
        self._prepared[key] = name
        return _Expected(before=1, prepared=key)

    def _evict(self) -> int:
        """Make room for one more statement; return how many results that adds."""
        if len(self._prepared) < PREPARED_MAX:
            return 0
        _, name = self._prepared.popitem(last=False)
        if name is None:
            return 0
        self._pgconn.send_query_params(b"DEALLOCATE " + name, None)
        return 1

    def _answers(self, expected: list[_Expected]) -> list[Answered]:
        results = self._results
        self._results = []
        position = 0
        for message in expected:
            # Prepared statements survive a rollback: only a Parse that failed leaves none.
            if message.prepared is not None and (
                position >= len(results) or results[position].status != pq.ExecStatus.COMMAND_OK
            ):
                self._prepared[message.prepared] = None
            position += message.before + 1
        for index, result in enumerate(results):
            if result.status in _FAILED:
                raise ServerError(fields_of(result), _message_of(index, expected))
            if result.status in _COPIES:
                raise ServerError(_COPYING, _message_of(index, expected))
        answers: list[Answered] = []
        position = 0
        for message in expected:
            answers.append(Answered(results[position + message.before]))
            position += message.before + 1
        return answers

    def _flush(self) -> None:
        try:
            unsent = self._pgconn.flush()
        except psycopg.OperationalError as error:
            self._lost(str(error))
            return
        if unsent and not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._flush)
        elif not unsent and self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            if self._writing:
                self._flush()
            if self._waiter is not None:
                self._collect(self._waiter)
            while (notify := pgconn.notifies()) is not None:
                if self.on_notify is not None:
                    self.on_notify(notify.relname.decode())
        except psycopg.OperationalError as error:
            self._lost(str(error))
            return
        if pgconn.status == pq.ConnStatus.BAD:
            self._lost(pgconn.get_error_message())

    def _collect(self, waiter: asyncio.Future[None]) -> None:
        """Take what has arrived. libpq puts a None after the results of each message but a Sync."""
        nothing = 0
        while nothing < 2 and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                nothing += 1
                continue
            nothing = 0
            if result.status == _SYNC:
                if not waiter.done():
                    waiter.set_result(None)
                return
            self._results.append(result)
            if result.status in _COPIES:
                # The server waits for data, or for somebody who takes it. libpq would say so for ever.
                if not waiter.done():
                    waiter.set_result(None)
                self._lost(_COPYING.message)
                return

    async def _interrupt(self, waiter: asyncio.Future[None]) -> None:
        if waiter.done():
            return
        try:
            async with asyncio.timeout(CANCEL_SECONDS_MAX):
                await self._connection.cancel_safe(timeout=CANCEL_SECONDS_MAX)
                await asyncio.shield(waiter)
        except (TimeoutError, psycopg.Error, ConnectionLost):
            self.close()

    def _lost(self, message: str) -> None:
        if self._error is not None:
            return
        self._error = message.strip() or "the connection was lost"
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pgconn.finish()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionLost(self._error))
            self._waiter.exception()  # read here, so that an abandoned exchange does not warn
        if self.on_lost is not None:
            self.on_lost(self._error)


def _encode(message: Message) -> _Encoded:
    """The message as libpq takes it. Raises UnicodeEncodeError for what is no Unicode text."""
    return _Encoded(
        text=message.text.encode(),
        values=[value.encode() if isinstance(value, str) else value for value in message.values],
        types=message.types or None,
        describe=message.describe,
        key=(message.text, message.types) if message.prepare else None,
    )


def _message_of(result: int, expected: list[_Expected]) -> int:
    end = 0
    for index, message in enumerate(expected):
        end += message.before + 1
        if result < end:
            return index
    return len(expected)


def fields_of(result: PGresult) -> Fields:
    """The fields of an error answer."""
    field = pq.DiagnosticField

    def text(code: pq.DiagnosticField) -> str | None:
        value = result.error_field(code)
        return None if value is None else value.decode(errors="replace")

    def number(code: pq.DiagnosticField) -> int | None:
        value = result.error_field(code)
        return None if value is None else int(value)

    return Fields(
        sqlstate=text(field.SQLSTATE) or "XX000",
        message=text(field.MESSAGE_PRIMARY) or result.get_error_message(),
        detail=text(field.MESSAGE_DETAIL),
        hint=text(field.MESSAGE_HINT),
        position=number(field.STATEMENT_POSITION),
        internal_position=number(field.INTERNAL_POSITION),
        internal_query=text(field.INTERNAL_QUERY),
        context=text(field.CONTEXT),
    )
