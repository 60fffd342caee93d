"""`SELECT a INTO t FROM u` as `CREATE TABLE t AS SELECT a FROM u`: EXECUTE takes no SELECT INTO."""

from __future__ import annotations

from dataclasses import dataclass

from dfc.compiler.sql.tokens import Token


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The statement. `runs` are (offset in it, offset in the one written, length), in ascending order."""

    sql: str
    runs: tuple[tuple[int, int, int], ...]

    def moved(self, offset: int) -> int:
        """Where a character of the statement as written stands now."""
        return next((to + offset - of for to, of, length in self.runs if of <= offset < of + length), 0)


def create_table_as(sql: str, items: list[Token], into: range) -> Rewritten:
    """The statement with the table of its INTO clause (a range of tokens) in front."""
    start, end = items[into.start].start, items[into.stop - 1].end
    after = items[into.stop].start if into.stop < len(items) else len(sql)
    target = items[into.start + 1 : into.stop]
    name = next((i for i, token in enumerate(target) if token.word == "table" and i + 1 < len(target)), None)
    last_modifier = -1
    for index, token in enumerate(target[:-1]):
        if token.word in ("temporary", "temp", "local", "global", "unlogged"):
            last_modifier = index
    modifiers = " ".join(token.word for token in target[: last_modifier + 1])
    first_name = target[(name if name is not None else last_modifier) + 1]
    head = f"CREATE {modifiers} TABLE " if modifiers else "CREATE TABLE "
    front = sql[:start].rstrip() if after == len(sql) else sql[:start]
    parts = [(head, None), (sql[first_name.start : end], first_name.start), (" AS ", None)]
    parts += [(front, 0), (sql[after:], after)]
    runs: list[tuple[int, int, int]] = []
    offset = 0
    for part, origin in parts:
        if origin is not None and part:
            runs.append((offset, origin, len(part)))
        offset += len(part)
    return Rewritten("".join(part for part, _ in parts), tuple(runs))
