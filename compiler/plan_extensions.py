"""Extensions by what they bring."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

PLAIN_EXTENSIONS: Final = frozenset({"plpgsql"})
"""Extensions that bring nothing that a statement could name."""
WITHOUT_TABLES: Final = frozenset({"adminpack", "old_snapshot", "amcheck", "pageinspect"})
"""Extensions with functions, of which nothing is kept here, and without a table or view."""
IN_SCHEMAS: Final[Mapping[str, tuple[str, ...]]] = {"pg_cron": ("cron",)}
"""Extensions whose tables are in schemas of their own."""
OF_OTHERS: Final = frozenset({"vector"})
"""Extensions that do not come with PostgreSQL: a newer one may bring more than what is kept here."""
_NEWER: Final[Mapping[str, tuple[str, ...]]] = {
    "pgcrypto": ("fips_mode",),
    "fuzzystrmatch": ("daitch_mokotoff",),
}
"""Functions that PostgreSQL 16 to 18 have added, and the server that was asked does not have."""


@dataclass(frozen=True, slots=True)
class Extension:
    """What an extension brings, as `extensions.json` has it (`python -m tests.compiler_schema.extensions`).

    `@name` is a type of the extension, or of one that it requires. `newer`: functions of newer versions,
    whose arguments are not kept.
    """

    types: Mapping[str, tuple[str, bool, str]]
    functions: Mapping[str, list[list[Any]]]
    operators: Mapping[str, list[list[str]]]
    casts: tuple[tuple[str, str, str], ...]
    relations: frozenset[str]
    requires: tuple[str, ...]
    newer: tuple[str, ...]

    def has(self, name: str) -> bool:
        """Whether a type, function, operator or table has this name."""
        kinds = (self.types, self.functions, self.operators, self.relations, self.newer)
        return any(name in kind for kind in kinds)


def extension(name: str) -> Extension | None:
    """What the extension of this name brings; None where nobody knows."""
    return _extensions().get(name)


def brings_unknown_tables(name: str) -> bool:
    """Whether nobody knows which tables and views an extension makes, or where."""
    known = name in PLAIN_EXTENSIONS or name in WITHOUT_TABLES or name in IN_SCHEMAS
    return not known and extension(name) is None


@cache
def _extensions() -> dict[str, Extension]:
    path = Path(__file__).parent / "schema" / "extensions.json"
    data: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Extension(
            types={
                type: (category, preferred, kind)
                for type, (category, preferred, kind) in each["types"].items()
            },
            functions=each["functions"],
            operators=each["operators"],
            casts=tuple([(source, target, context) for source, target, context in each["casts"]]),
            relations=frozenset(each["relations"]),
            requires=tuple(each["requires"]),
            newer=_NEWER.get(name, ()),
        )
        for name, each in data.items()
    }
