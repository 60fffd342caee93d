"""PostgreSQL's own parser (libpg_query of PostgreSQL 18, from the wheel of postgast), by ctypes.

For what is legal only the raw parser is called, through `pg_query_split_with_parser`: it answers with the
number of statements or the first error, and, unlike fingerprint, JSON and protobuf, walks no tree. So no
depth or length of a text overflows the C stack; the parser's own stack ends at 10,000 symbols with the error
`memory exhausted`, in the server too. `tree` walks one: `trees` sees to it that it is not deep. The package
itself is not imported: its protobuf classes would cost 90 ms.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fault:
    """What the parser said. `offset` is a code point from 0, or None where the parser gives no position."""

    message: str
    offset: int | None


class _Error(ctypes.Structure):
    _fields_ = (
        ("message", ctypes.c_char_p),
        ("funcname", ctypes.c_char_p),
        ("filename", ctypes.c_char_p),
        ("lineno", ctypes.c_int),
        ("cursorpos", ctypes.c_int),
        ("context", ctypes.c_char_p),
    )


class _Statement(ctypes.Structure):
    _fields_ = (("location", ctypes.c_int), ("length", ctypes.c_int))


class _Result(ctypes.Structure):
    _fields_ = (
        ("statements", ctypes.POINTER(ctypes.POINTER(_Statement))),
        ("count", ctypes.c_int),
        ("stderr_buffer", ctypes.c_char_p),
        ("error", ctypes.POINTER(_Error)),
    )


class _Tree(ctypes.Structure):
    _fields_ = (
        ("json", ctypes.c_char_p),
        ("stderr_buffer", ctypes.c_char_p),
        ("error", ctypes.POINTER(_Error)),
    )


@cache
def _library() -> ctypes.CDLL:
    found = find_spec("postgast")
    if found is None or found.origin is None:
        raise ImportError("postgast is not installed")
    folder = Path(found.origin).parent
    names = ("libpg_query.so", "libpg_query.dylib", "pg_query.dll")
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise ImportError(f"no libpg_query beside {found.origin}: install postgast from a wheel")
    library = ctypes.CDLL(str(path))
    library.pg_query_split_with_parser.argtypes = (ctypes.c_char_p,)
    library.pg_query_split_with_parser.restype = _Result
    library.pg_query_free_split_result.argtypes = (_Result,)
    library.pg_query_free_split_result.restype = None
    library.pg_query_parse.argtypes = (ctypes.c_char_p,)
    library.pg_query_parse.restype = _Tree
    library.pg_query_free_parse_result.argtypes = (_Tree,)
    library.pg_query_free_parse_result.restype = None
    return library


def statements(sql: str) -> tuple[int, ...] | Fault:
    """Where the statements of `sql` begin (code points, white space included), or the first fault.

    `sql` must hold neither NUL nor lone surrogates (UnicodeEncodeError).
    """
    data = sql.encode()
    library = _library()
    result = library.pg_query_split_with_parser(data)
    try:
        if result.error:
            fault = result.error.contents
            message = (fault.message or b"").decode(errors="replace")
            return Fault(message, fault.cursorpos - 1 if fault.cursorpos > 0 else None)
        starts = (result.statements[number].contents.location for number in range(result.count))
        if result.count == 1:
            return (0,)
        return tuple(len(data[:start].decode()) for start in starts)
    finally:
        library.pg_query_free_split_result(result)


def tree(sql: str) -> bytes | Fault:
    """The parse tree of `sql` as JSON, or the first fault. Overflows the C stack where the tree is too deep.

    `sql` must hold neither NUL nor lone surrogates (UnicodeEncodeError).
    """
    library = _library()
    result = library.pg_query_parse(sql.encode())
    try:
        if result.error:
            fault = result.error.contents
            message = (fault.message or b"").decode(errors="replace")
            return Fault(message, fault.cursorpos - 1 if fault.cursorpos > 0 else None)
        return result.json or b"{}"
    finally:
        library.pg_query_free_parse_result(result)
