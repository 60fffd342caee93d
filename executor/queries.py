"""The SQL texts under sql/queries, without their heading comments."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HOLE = re.compile(r"\{([a-z_]+)\}")


@cache
def query(name: str) -> str:
    """The text of `sql/queries/<name>.sql`."""
    text = (files("dfc.sql") / "queries" / f"{name}.sql").read_text(encoding="utf-8")
    lines = text.splitlines()
    return "\n".join(line for line in lines if not line.startswith("--")).strip()


def fill(template: str, pieces: dict[str, str]) -> str:
    """Put the pieces into the `{holes}` of a template, each text as it is."""
    return _HOLE.sub(lambda match: pieces[match[1]], template)
