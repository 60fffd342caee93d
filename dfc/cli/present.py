"""Results and tables as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

ROWS_SHOWN_MAX = 50
CELL_CHARACTERS_MAX = 200

console = Console(soft_wrap=False, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their columns; numbers to the right. Wide ones are not cut when piped."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        shown.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_cell(value)) for value in row))
    if console.is_terminal:
        console.print(shown)
    else:
        console.print(shown, width=10_000, crop=False)


def result(value: object) -> None:
    """Print the result of a workflow: rows as a table, anything else as JSON."""
    rows = rows_of(value)
    if rows is None:
        console.print(Text(json.dumps(value, ensure_ascii=False, indent=2)), soft_wrap=True)
        return
    if not rows:
        count = cast(Mapping[str, Any], value)["row_count"]
        console.print(f"{count} row{'' if count == 1 else 's'}")
        return
    table(list(rows[0]), [list(row.values()) for row in rows[:ROWS_SHOWN_MAX]])
    if len(rows) > ROWS_SHOWN_MAX:
        console.print(f"... and {len(rows) - ROWS_SHOWN_MAX:,} more rows")


def rows_of(value: object) -> list[dict[str, Any]] | None:
    """The rows of a SQL result, None when it is another kind of value."""
    if not isinstance(value, dict):
        return None
    fields = cast(dict[str, Any], value)
    if set(fields) != {"rows", "row_count"} or not isinstance(fields["rows"], list):
        return None
    return cast(list[dict[str, Any]], fields["rows"])


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "\\n")
    return text if len(text) <= CELL_CHARACTERS_MAX else text[: CELL_CHARACTERS_MAX - 1] + "…"
