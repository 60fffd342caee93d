"""What is sent to PostgreSQL, and its answer: waited for with a limit, and so that Ctrl-C is heard meanwhile.

libpq's own calls wait for ever for a server that has gone silent, and Python hears no signal until they
return.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGresult

ANSWER_SECONDS_MAX: Final = 60
"""The server itself ends a statement long before."""

_COPYING: Final = (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH)


class Session:
    """A connection of its own, with the methods of psycopg's PGconn that are needed.

    They raise psycopg.OperationalError where there is no answer. `is_bounded`: it has to come within
    ANSWER_SECONDS_MAX.
    """

    def __init__(self, conninfo: str, *, is_bounded: bool = True) -> None:
        self._connection = psycopg.connect(
            conninfo, autocommit=True, connect_timeout=10, application_name="dfc validate"
        )
        self._pgconn = self._connection.pgconn
        self._seconds_max = ANSWER_SECONDS_MAX if is_bounded else None

    @property
    def status(self) -> int:
        """Whether something can be sent (`ConnStatus.OK`)."""
        return self._pgconn.status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def exec_(self, text: bytes) -> PGresult:
        """The result of statements, of the last one or of the one that failed."""
        self._pgconn.send_query(text)
        return self._answer()

    def exec_params(self, text: bytes, values: Sequence[bytes | None]) -> PGresult:
        """The result of a statement with parameters."""
        self._pgconn.send_query_params(text, values)
        return self._answer()

    def prepare(self, name: bytes, text: bytes, types: Sequence[int] | None) -> PGresult:
        """Whether a statement could be prepared."""
        self._pgconn.send_prepare(name, text, types)
        return self._answer()

    def describe_prepared(self, name: bytes) -> PGresult:
        """The parameters and columns of a prepared statement."""
        self._pgconn.send_describe_prepared(name)
        return self._answer()

    def _answer(self) -> PGresult:
        deadline = None if self._seconds_max is None else time.monotonic() + self._seconds_max
        found: PGresult | None = None
        try:
            while True:
                self._wait(deadline)
                result = self._pgconn.get_result()
                if result is None:
                    break
                found = result
                if result.status in _COPYING:
                    raise psycopg.OperationalError("COPY wants data, and there is none")
        except BaseException:
            # Whatever is sent next would wait as well, as a ROLLBACK.
            self._pgconn.finish()
            raise
        assert found is not None, "what was sent has a result"
        return found

    def _wait(self, deadline: float | None) -> None:
        """Until a result can be had."""
        poller = select.poll()
        while (flushing := self._pgconn.flush()) or self._pgconn.is_busy():
            poller.register(self._pgconn.socket, select.POLLIN | (select.POLLOUT if flushing else 0))
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not poller.poll(left):
                raise psycopg.OperationalError(f"it has said nothing for {self._seconds_max} s")
            self._pgconn.consume_input()
