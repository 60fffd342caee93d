"""Identifiers of PostgreSQL as they are written, and the names that they are."""

from __future__ import annotations

from typing import Final

_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def fold(name: str) -> str:
    """An identifier without quotes as PostgreSQL folds it in a UTF-8 database: ASCII only."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


def name_of(written: str) -> str:
    """The name that an identifier is: folded, or what stands between its quotes (no `U&""`)."""
    return written[1:-1].replace('""', '"') if written.startswith('"') else fold(written)
