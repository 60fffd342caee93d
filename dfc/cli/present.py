"""Results and tables as people read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast
from uuid import uuid4

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

ROWS_SHOWN_MAX = 50
_LEADING_ZEROS_MAX = 40
_INTEGER_DIGITS_MAX = 4_000
CELL_CHARACTERS_MAX = 200

console = Console(soft_wrap=False, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their columns; numbers stand to the right. No line is cut or wrapped."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    numeric = [
        bool(rows) and all(isinstance(value, int | float | Decimal | None) for value in column)
        for column in (zip(*rows, strict=True) if rows else [()] * len(columns))
    ]
    for line in (columns, *cells):
        parts = [
            " " * (width - cell_len(cell)) + cell if right else cell + " " * (width - cell_len(cell))
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        text = Text("  ".join(parts).rstrip(), style="bold" if line is columns else "")
        console.print(text, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Verbatim:
    """JSON text of the database that goes into a document as it is: a numeric keeps all its digits."""

    text: str


def document(value: object, indent: int | None = 2) -> str:
    """A value as JSON; each `Verbatim` in it as its own text, each Decimal with all its digits."""
    held: list[str] = []
    mark = uuid4().hex

    def hold(found: object) -> str:
        assert isinstance(found, Verbatim | Decimal), found
        held.append(found.text if isinstance(found, Verbatim) else _digits(found))
        return f"{mark}{len(held) - 1}"

    text = json.dumps(value, ensure_ascii=False, indent=indent, default=hold)
    return re.sub(f'"{mark}(\\d+)"', lambda match: held[int(match[1])], text)


def _digits(number: Decimal) -> str:
    """The number as PostgreSQL writes a numeric, but for those that only an exponent makes readable."""
    exponent = number.as_tuple().exponent
    plain = isinstance(exponent, int) and exponent <= 0 and number.adjusted() > -_LEADING_ZEROS_MAX
    return format(number, "f") if plain else str(number)


def parsed(text: str) -> Any:
    """JSON of the database, numerics with all their digits."""
    return json.loads(text, parse_float=Decimal, parse_int=_integer)


def _integer(digits: str) -> int | Decimal:
    # Python refuses to read integers of thousands of digits; a numeric may have 131072.
    return int(digits) if len(digits) <= _INTEGER_DIGITS_MAX else Decimal(digits)


def result(value: object) -> None:
    """Print the result of a workflow: rows as a table, anything else as JSON."""
    rows = rows_of(value)
    if rows is None:
        console.print(Text(document(value)), soft_wrap=True)
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
    if isinstance(value, Decimal):
        text = _digits(value)
    else:
        text = value if isinstance(value, str) else document(value, None)
    text = text.replace("\n", "\\n")
    return text if len(text) <= CELL_CHARACTERS_MAX else text[: CELL_CHARACTERS_MAX - 1] + "…"
