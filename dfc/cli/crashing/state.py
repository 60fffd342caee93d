"""What a run has left behind, and how it differs from what another one has left.

Tables are multisets of rows. Columns that are not the same in two undisturbed runs (moments, random numbers,
numbers of sequences) are left out of the comparison; what lies in them says nothing about a kill.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from dfc.cli.database import Connection
from dfc.cli.queries import query

ROWS_READ_MAX: Final = 200_000
Place = tuple[str | int, ...]
"""Where in a JSON value: the keys and numbers that lead there."""

Row = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the workflow has ended."""

    status: str
    result: Any
    error: Any

    def as_json(self) -> dict[str, Any]:
        """What of it is compared."""
        wanted = None if self.error is None else {key: self.error.get(key) for key in ("step", "sqlstate")}
        return {"status": self.status, "result": self.result, "error": wanted}


@dataclass(slots=True, kw_only=True)
class Unstable:
    """What differs by itself: columns of tables, whole tables, and parts of the result."""

    columns: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    tables: set[str] = field(default_factory=set[str])
    parts: set[Place] = field(default_factory=set[Place])

    def add(self, other: Unstable) -> None:
        """Take in what another pair of runs has shown."""
        for table, columns in other.columns.items():
            self.columns.setdefault(table, set()).update(columns)
        self.tables |= other.tables
        self.parts |= other.parts

    def without(self, other: Unstable) -> Unstable:
        """What is not in another one."""
        rest = {name: found - other.columns.get(name, set()) for name, found in self.columns.items()}
        return Unstable(
            columns={name: found for name, found in rest.items() if found and name not in other.tables},
            tables=self.tables - other.tables,
            parts=self.parts - other.parts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A table, or the end of the workflow (`table` is None), that is not as in the undisturbed run.

    `missing` and `extra` are rows as people read them, the first few; `missing_count` and `extra_count` say
    how many there are.
    """

    table: str | None
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    missing_count: int
    extra_count: int


def tables_of(connection: Connection) -> dict[str, list[str]]:
    """The user's tables and their columns."""
    return dict(connection.execute(query("crashtest_tables")).fetchall())


def unstable_between(one: Connection, other: Connection, ends: tuple[End, End]) -> Unstable:
    """What differs between two undisturbed runs."""
    found = Unstable(parts=_unlike(ends[0].as_json(), ends[1].as_json()))
    tables, others = tables_of(one), tables_of(other)
    found.tables = {name for name in tables.keys() | others.keys() if tables.get(name) != others.get(name)}
    for name, columns in tables.items():
        if name in found.tables or _digest(one, name, columns) == _digest(other, name, columns):
            continue
        unlike = {c for c in columns if _digest(one, name, [c]) != _digest(other, name, [c])}
        rest = [column for column in columns if column not in unlike]
        if _digest(one, name, rest) == _digest(other, name, rest):
            found.columns[name] = unlike
        else:
            found.tables.add(name)
    return found


def differs(base: Connection, other: Connection, ends: tuple[End, End], unstable: Unstable) -> bool:
    """Whether a run has come to something else, as far as it is compared. Cheap."""
    if _stable(ends[0], unstable) != _stable(ends[1], unstable):
        return True
    return any(True for _ in _unlike_tables(base, other, unstable))


def differences(
    base: Connection, other: Connection, ends: tuple[End, End], unstable: Unstable, shown_max: int
) -> list[Difference]:
    """In what a run has come to something else."""
    found: list[Difference] = []
    expected, got = _stable(ends[0], unstable), _stable(ends[1], unstable)
    if expected != got:
        lines = (end_line(ends[0]),), (end_line(ends[1]),)
        found.append(Difference(table=None, missing=lines[0], extra=lines[1], missing_count=1, extra_count=1))
    for name, columns, has in _unlike_tables(base, other, unstable):
        if columns is None or columns != has:
            found.append(_other_shape(name, columns, has))
            continue
        compared = _compared(name, columns, unstable)
        before, after = _rows(base, name, compared), _rows(other, name, compared)
        missing, extra = before - after, after - before
        found.append(
            Difference(
                table=name,
                missing=_shown(missing, compared, shown_max),
                extra=_shown(extra, compared, shown_max),
                missing_count=missing.total(),
                extra_count=extra.total(),
            )
        )
    return found


def _unlike_tables(
    base: Connection, other: Connection, unstable: Unstable
) -> Iterator[tuple[str, list[str] | None, list[str] | None]]:
    """The tables that are not the same, as far as they are compared, with their columns here and there."""
    tables, others = tables_of(base), tables_of(other)
    for name in sorted(tables.keys() | others.keys()):
        columns, has = tables.get(name), others.get(name)
        if name in unstable.tables:
            continue
        if columns is not None and columns == has:
            compared = _compared(name, columns, unstable)
            if _digest(base, name, compared) == _digest(other, name, compared):
                continue
        yield name, columns, has


def _compared(table: str, columns: list[str], unstable: Unstable) -> list[str]:
    left_out = unstable.columns.get(table, set())
    return [column for column in columns if column not in left_out]


def _other_shape(name: str, columns: list[str] | None, has: list[str] | None) -> Difference:
    missing = () if columns is None else (f"a table with the columns {', '.join(columns)}",)
    extra = () if has is None else (f"a table with the columns {', '.join(has)}",)
    return Difference(
        table=name, missing=missing, extra=extra, missing_count=len(missing), extra_count=len(extra)
    )


def _digest(connection: Connection, table: str, columns: list[str]) -> tuple[Any, ...] | None:
    return connection.execute(query("crashtest_digest"), {"of": table, "columns": columns}).fetchone()


def _rows(connection: Connection, table: str, columns: list[str]) -> Counter[Row]:
    given = {"of": table, "columns": columns, "most": ROWS_READ_MAX}
    return Counter(tuple(row) for (row,) in connection.execute(query("crashtest_rows"), given))


def _shown(rows: Counter[Row], columns: list[str], most: int) -> tuple[str, ...]:
    ordered = sorted(rows.elements(), key=lambda row: [(cell is None, cell or "") for cell in row])
    return tuple(
        ", ".join(f"{name}={_cell(cell)}" for name, cell in zip(columns, row, strict=True))
        for row in ordered[:most]
    )


def _cell(value: str | None) -> str:
    if value is None:
        return "null"
    text = value if len(value) <= 60 else value[:59] + "…"
    return text.replace("\n", "\\n")


# How the workflow has ended


def end_line(end: End) -> str:
    """How a workflow has ended, in a line."""
    if end.error is not None:
        error = end.error
        where = f" in `{error['step']}`" if error.get("step") else ""
        return f"{end.status}{where}: {error.get('message') or error.get('reason')} [{error.get('sqlstate')}]"
    return f"{end.status} with {_cell(json.dumps(end.result, ensure_ascii=False))}"


def _stable(end: End, unstable: Unstable) -> Any:
    return _masked(end.as_json(), (), unstable.parts)


def _masked(value: Any, at: Place, parts: set[Place]) -> Any:
    if at in parts:
        return "differs by itself"
    if isinstance(value, dict):
        fields = cast("Mapping[str, Any]", value)
        return {key: _masked(each, (*at, key), parts) for key, each in fields.items()}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_masked(each, (*at, number), parts) for number, each in enumerate(items)]
    return value


def _unlike(one: Any, other: Any, at: Place = ()) -> set[Place]:
    """The parts of two JSON values that are not the same."""
    same = json.dumps(one) == json.dumps(other)
    if isinstance(one, dict) and isinstance(other, dict):
        a, b = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        if a.keys() == b.keys():
            return {path for key in a for path in _unlike(a[key], b[key], (*at, key))}
    elif isinstance(one, list) and isinstance(other, list):
        first, second = cast("list[Any]", one), cast("list[Any]", other)
        if len(first) == len(second):
            pairs = enumerate(zip(first, second, strict=True))
            return {path for number, (x, y) in pairs for path in _unlike(x, y, (*at, number))}
    return set() if same else {at}
