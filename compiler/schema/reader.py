"""DDL to a catalog: what `pg_dump --schema-only` writes, and what people write.

Statements that change nothing that a query could name are passed over; one that is not understood is noted,
and what it may have made is not known from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dfc.compiler.schema import definitions
from dfc.compiler.schema.catalog import DEFAULT_PATH, Catalog
from dfc.compiler.schema.split import Piece, pieces, script
from dfc.compiler.sql.native import Fault
from dfc.compiler.sql.trees import tree_of, unwrapped

_IRRELEVANT: Final = frozenset(
    {
        ("comment",),
        ("grant",),
        ("revoke",),
        ("insert",),
        ("update",),
        ("delete",),
        ("merge",),
        ("truncate",),
        ("copy",),
        ("begin",),
        ("start",),
        ("commit",),
        ("end",),
        ("rollback",),
        ("savepoint",),
        ("release",),
        ("analyze",),
        ("vacuum",),
        ("reindex",),
        ("cluster",),
        ("refresh",),
        ("lock",),
        ("reset",),
        ("show",),
        ("security",),
        ("reassign",),
        ("notify",),
        ("listen",),
        ("unlisten",),
        ("checkpoint",),
        ("explain",),
        ("values",),
    }
)
_IRRELEVANT_OBJECTS: Final = frozenset(
    {
        "trigger",
        "constraint",
        "event",
        "policy",
        "publication",
        "subscription",
        "role",
        "user",
        "group",
        "database",
        "tablespace",
        "server",
        "statistics",
        "language",
        "trusted",
        "procedural",
        "conversion",
        "default",
        "text",
        "access",
        "collation",
        "system",
        "large",
        "rule",
        "transform",
        "owned",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaSource:
    """A text with DDL. `session`: its settings (search_path) are those that workflows are started with."""

    name: str
    text: str
    session: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A statement that was not understood: where it stands in `source` (code points), and why."""

    source: str
    start: int
    end: int
    why: str


@dataclass(frozen=True, slots=True)
class Read:
    """What was read. `skipped` has what was not understood, in order."""

    catalog: Catalog
    skipped: tuple[Skipped, ...]


def read_schema(sources: Iterable[SchemaSource]) -> Read:
    """The schema that these texts make, one after the other, in an empty database. Raises nothing."""
    catalog = Catalog()
    skipped: list[Skipped] = []
    for source in sources:
        catalog.search_path = DEFAULT_PATH
        skipped += _read(source, catalog)
        if not source.session:
            catalog.search_path = DEFAULT_PATH
    return Read(catalog, tuple(skipped))


def with_statements(catalog: Catalog, texts: Sequence[str]) -> Catalog | None:
    """The catalog with what some statements make; None where they cannot be read."""
    found = catalog.copied()
    skipped = _read(SchemaSource(name="", text=";\n".join(texts), session=True), found)
    return None if skipped else found


def _read(source: SchemaSource, catalog: Catalog) -> list[Skipped]:
    found: list[Skipped] = []
    written = script(source.text)
    if written.includes:
        catalog.unsure.everything = True
        found.append(Skipped(source.name, 0, 0, "the file includes others, which are not read"))
    for piece in pieces(written.text):
        why = _apply(piece, catalog)
        if why is not None:
            found.append(Skipped(source.name, piece.start, piece.end, why))
    return found


def _apply(piece: Piece, catalog: Catalog) -> str | None:
    """Change the catalog as the statement would change the database; why that could not be done."""
    words = [token.word for token in piece.items[:2]]
    if _irrelevant(words):
        return None
    tree = None if piece.broken else tree_of(piece.sql, piece.items)
    if tree is None or isinstance(tree, Fault):
        catalog.unsure.everything = True
        return f"not read: {tree.message}" if tree is not None else "not read"
    kind, fields = unwrapped(tree)
    try:
        return definitions.apply(kind, fields, piece.sql, catalog)
    except RecursionError:
        catalog.unsure.everything = True
        return "not read: too deep"


def _irrelevant(words: Sequence[str]) -> bool:
    if not words or (words[0],) in _IRRELEVANT:
        return True
    return words[0] in ("create", "alter", "drop") and len(words) > 1 and words[1] in _IRRELEVANT_OBJECTS
