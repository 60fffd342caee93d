"""A TCP network between a worker and PostgreSQL that loses packets, as one whose other end has vanished."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import struct
import threading
from types import TracebackType
from typing import Self

_SO_ATTACH_FILTER = 26
_RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A packet filter of one instruction: of each packet keep 0 bytes."""
_addresses = itertools.count(1)


def address() -> str:
    """A loopback address where nobody else listens."""
    return f"127.77.{os.getpid() % 250}.{next(_addresses)}"


class Packets:
    """Passes TCP on to `host`, port 5432, until connections vanish. A context manager.

    What has vanished gets no acknowledgement any more, neither for data nor for keepalives, and no FIN.
    """

    def __init__(self, host: str, user: str, database: str, settings: str = "") -> None:
        self._host = host
        self._listener = socket.create_server((address(), 0))
        ip, port = self._listener.getsockname()
        plain = "sslmode=disable gssencmode=disable"
        self.database = f"host={ip} port={port} user={user} dbname={database} {plain} {settings}"
        self._pairs: list[tuple[bytes, socket.socket, socket.socket]] = []
        self._accepting = threading.Thread(target=self._accept)
        self._pumps: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for _, *ends in self._pairs:
            for end in ends:
                _hang_up(end)
        for pump in self._pumps:
            pump.join()
        for _, *ends in self._pairs:
            for end in ends:
                end.close()

    def vanish(self, application: str) -> int:
        """Connections whose application has this in its name are lost, on both sides. How many they are."""
        chosen = [ends for started, *ends in self._pairs if application.encode() in started]
        for end in itertools.chain.from_iterable(chosen):
            _take_nothing_in(end)
        return len(chosen)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            start = client.recv(1 << 16)
            server = socket.create_connection((self._host, 5432))
            server.sendall(start)
            self._pairs.append((start, client, server))
            for source, sink in ((client, server), (server, client)):
                self._pumps.append(threading.Thread(target=_pump, args=(source, sink)))
                self._pumps[-1].start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(1 << 16):
            sink.sendall(chunk)
    except OSError:
        pass
    _hang_up(sink)


def _hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _take_nothing_in(end: socket.socket) -> None:
    """Have the kernel throw away what arrives, before TCP sees it."""
    program = ctypes.create_string_buffer(_RETURN_NOTHING)
    end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
