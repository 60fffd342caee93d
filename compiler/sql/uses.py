"""What a statement does with each of its tables, from sqlglot's tree: effect, columns, rows where certain.

Everything is told so that doubt makes it more: columns are those that may be meant, and None is any of them;
rows are restricted only by what the WHERE says in plain words (`column = constant`, IN, `<`, BETWEEN).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from dfc.compiler.plan_builtins import NOT_VOLATILE, VOLATILE
from dfc.compiler.plan_names import fold
from dfc.compiler.sql.domains import VALUES_MAX, Domain, both
from dfc.compiler.sql.pure import harmless

if TYPE_CHECKING:
    from sqlglot import exp

CONJUNCTS_MAX = 100
"""How many conditions of one WHERE are looked at."""


_SEQUENCES: Final = frozenset({"nextval", "setval"})


class Effect(StrEnum):
    """What is done with a table. UPSERT: an INSERT that may change rows; DEFINE: it is made or emptied."""

    READ = "reads"
    INSERT = "inserts into"
    UPSERT = "changes"
    UPDATE = "updates"
    DELETE = "deletes from"
    MERGE = "merges into"
    DEFINE = "redefines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """`sql[start:end]` names a table, and what the statement does with it.

    `changed` are the columns that an UPDATE sets; `read` those that may be read. None: any. `rows` are pairs
    of a column, or of what is computed from some (`id % 2`), and the values that it has in all rows that are
    meant. `only`: what inherits from the table is not meant. `through`: by what the statement gets to the
    table, where it does not name it.
    """

    table: str
    effect: Effect
    changed: frozenset[str] | None = None
    read: frozenset[str] | None = None
    rows: tuple[tuple[str, Domain], ...] = ()
    only: bool = False
    through: str = ""
    start: int
    end: int

    @property
    def writes(self) -> bool:
        """Whether the table is not only read."""
        return self.effect is not Effect.READ


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """`sql[start:end]` calls a function of which PostgreSQL's own catalog does not know the effects."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A table in the tree, by its name, and whether it is what the statement changes."""

    node: exp.Table
    name: str
    target: bool


def uses(
    tree: exp.Expr,
    found: Iterable[Found],
    original: Callable[[int], int],
    temporary: frozenset[str] = frozenset(),
) -> tuple[Use, ...]:
    """The uses of the tables that were found, without those of its session alone.

    `original` is the way from the tree's offsets to the text's.
    """
    columns = _Columns(tree)
    result: list[Use] = []
    for one in found:
        start, end = _place(one.node.this.meta, original)
        query = _query(one.node)
        effect = _effect(query, one.node) if one.target else Effect.READ
        if one.name in temporary:
            continue
        result.append(
            Use(
                table=one.name,
                effect=effect,
                changed=_changed(query) if effect is Effect.UPDATE else None,
                read=_read(query, effect, columns, one.node),
                rows=_settled(_inserted(query) if effect is Effect.INSERT else _rows(query, one.node)),
                only=bool(one.node.args.get("only")),
                start=start,
                end=end,
            )
        )
    return tuple(result)


def _read(query: exp.Expr, effect: Effect, columns: _Columns, table: exp.Table) -> frozenset[str] | None:
    """The columns that may be read. Who locks rows waits for everybody that changes them."""
    if effect is Effect.INSERT:
        return frozenset()
    locks = query.args.get("locks") or ()
    if any(not (lock.args.get("key") and not lock.args.get("update")) for lock in locks):
        return None
    return columns.of(table)


def _settled(found: Iterable[tuple[str, Domain]]) -> tuple[tuple[str, Domain], ...]:
    domains: dict[str, list[Domain]] = {}
    for column, domain in found:
        domains.setdefault(column, []).append(domain)
    return tuple([(column, both(each)) for column, each in domains.items()])


def calls(tree: exp.Expr, original: Callable[[int], int]) -> tuple[Called, ...]:
    """The calls of functions whose effects nobody knows but the database."""
    from sqlglot import exp

    found: list[Called] = []
    for node in tree.find_all(exp.Anonymous):
        name = fold(node.name)
        schema = _schema(node)
        own = name.startswith("pg_") or name in harmless() or name in VOLATILE | _SEQUENCES
        if schema != "df" and not (own and schema in ("", "pg_catalog")):
            start, end = _place(node.meta, original)
            found.append(Called(name=f"{schema}.{name}" if schema else name, start=start, end=end))
    return tuple(found)


def _schema(node: exp.Anonymous) -> str:
    from sqlglot import exp

    holder = node.parent
    if isinstance(holder, exp.Dot) and holder.expression is node:
        return fold(holder.this.name)
    if isinstance(holder, exp.Table) and holder.args.get("db") is not None:
        return fold(holder.args["db"].name)
    return ""


def _place(meta: dict[str, object], original: Callable[[int], int]) -> tuple[int, int]:
    """Where a token stands; (0, 0) where the tree does not say."""
    start, end = meta.get("start"), meta.get("end")
    if not isinstance(start, int) or not isinstance(end, int):
        return 0, 0
    return original(start), original(end) + 1


def _query(node: exp.Expr) -> exp.Expr:
    """The innermost query around a table, or the statement."""
    from sqlglot import exp

    query: exp.Expr = node
    while query.parent is not None:
        query = query.parent
        if isinstance(query, exp.Select | exp.Update | exp.Delete | exp.Insert | exp.Merge):
            break
    return query


def _effect(query: exp.Expr, node: exp.Table) -> Effect:
    from sqlglot import exp

    match query:
        case exp.Insert():
            conflict = query.args.get("conflict")
            changes = conflict is not None and bool(conflict.expressions)
            return Effect.UPSERT if changes else Effect.INSERT
        case exp.Update():
            return Effect.UPDATE
        case exp.Delete():
            return Effect.DELETE
        case exp.Merge():
            return Effect.MERGE
        case _:
            return Effect.DEFINE


def _changed(query: exp.Expr) -> frozenset[str] | None:
    """The columns that an UPDATE sets."""
    from sqlglot import exp

    found: set[str] = set()
    for setting in query.expressions:
        if not isinstance(setting, exp.EQ):
            return None
        targets = setting.this.expressions if isinstance(setting.this, exp.Tuple) else [setting.this]
        for target in targets:
            column = target.find(exp.Column)  # of `a[1]` and `a.b`, too
            if column is None:
                return None
            found.add(column_name(column))
    return frozenset(found)


def column_name(column: exp.Expr) -> str:
    """The name of a column, folded unless it is quoted."""
    return column.name if column.this.args.get("quoted") else fold(column.name)


class _Columns:
    """The columns that a statement reads, by the name they are qualified with."""

    def __init__(self, tree: exp.Expr) -> None:
        from sqlglot import exp

        self._by_name: dict[str, set[str]] = {}
        self._any = False
        for node in tree.walk():
            if isinstance(node, exp.Star):
                self._any = self._any or not isinstance(node.parent, exp.Count)
            elif isinstance(node, exp.Join):
                self._any = self._any or bool(node.args.get("using")) or node.args.get("method") == "NATURAL"
            elif isinstance(node, exp.Column) and not isinstance(node.this, exp.Star) and not _is_set(node):
                self._by_name.setdefault(fold(node.table), set()).add(column_name(node))

    def of(self, table: exp.Table) -> frozenset[str] | None:
        """What may be read of a table; None where that is any column."""
        name = fold(table.alias_or_name)
        plain = self._by_name.get("", set())
        if self._any or name in plain:  # a row as a whole
            return None
        return frozenset(plain | self._by_name.get(name, set()) | self._by_name.get(fold(table.name), set()))


def _is_set(column: exp.Column) -> bool:
    """Whether a column is a target of SET, which does not read it."""
    from sqlglot import exp

    holder = column.parent
    if isinstance(holder, exp.Tuple):
        column, holder = holder, holder.parent  # type: ignore[assignment]
    return isinstance(holder, exp.EQ) and holder.this is column and isinstance(holder.parent, exp.Update)


def _rows(query: exp.Expr, table: exp.Table) -> Iterator[tuple[str, Domain]]:
    """What the WHERE of a query says of all rows of a table."""
    from sqlglot import exp

    where = query.args.get("where")
    if not isinstance(where, exp.Where):
        return
    alone = not query.args.get("joins") and not query.args.get("using")
    if isinstance(query, exp.Update) and query.args.get("from_") is not None:
        alone = False
    names = {fold(table.alias_or_name), fold(table.name)}
    todo: list[exp.Expr] = [where.this]
    for _ in range(CONJUNCTS_MAX):
        if not todo:
            return
        node = todo.pop()
        if isinstance(node, exp.And):
            todo += [node.expression, node.this]
        elif isinstance(node, exp.Paren):
            todo.append(node.this)
        elif (domain := _domain(node)) is not None:
            name = _computed(node.this, names, alone=alone)
            if name is not None:
                yield name, domain


def _domain(condition: exp.Expr) -> Domain | None:
    """The values for which a comparison with constants is true."""
    from sqlglot import exp

    if isinstance(condition, exp.In):
        values = [_constant(each) for each in condition.expressions]
        known = tuple([value for value in values if value is not None])
        plain = 0 < len(values) <= VALUES_MAX and len(known) == len(values)
        return Domain(values=known) if plain and condition.args.get("query") is None else None
    if isinstance(condition, exp.Between):
        if condition.args.get("symmetric"):
            return None
        low, high = _constant(condition.args["low"]), _constant(condition.args["high"])
        return None if low is None or high is None else Domain(low=low, high=high)
    if not isinstance(condition, exp.EQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
        return None
    constant = _constant(condition.expression)
    if constant is None:
        return None
    match condition:
        case exp.EQ():
            return Domain(values=(constant,))
        case exp.LT() | exp.LTE():
            return Domain(high=constant, below=isinstance(condition, exp.LT))
        case _:
            return Domain(low=constant, above=isinstance(condition, exp.GT))


def _computed(node: exp.Expr, names: set[str], *, alone: bool) -> str | None:
    """A column of a table, or what is computed from its columns alone, as a text without qualifiers."""
    from sqlglot import exp

    plain = exp.Column | exp.Identifier | exp.Literal | exp.Paren | exp.Mod | exp.Add | exp.Sub | exp.Mul
    columns: list[exp.Column] = []
    for part in node.walk():
        if isinstance(part, exp.Anonymous):
            if fold(part.name) not in NOT_VOLATILE or _schema(part):
                return None
        elif not isinstance(part, plain):
            return None
        elif isinstance(part, exp.Column):
            columns.append(part)
    if not columns:
        return None
    for column in columns:
        qualifier = fold(column.table)
        if isinstance(column.this, exp.Star) or not (qualifier in names or (not qualifier and alone)):
            return None
    if node is columns[0]:
        return column_name(columns[0])
    bare = node.copy()
    for column in bare.find_all(exp.Column):
        column.set("table", None)
        column.set("db", None)
    return bare.sql(dialect="postgres")


def _inserted(query: exp.Expr) -> Iterator[tuple[str, Domain]]:
    """What an INSERT of one row with constants puts into columns that it names."""
    from sqlglot import exp

    target, values = query.this, query.args.get("expression")
    if (
        not isinstance(target, exp.Schema)
        or not isinstance(values, exp.Values)
        or len(values.expressions) != 1
    ):
        return
    row = values.expressions[0]
    for column, value in zip(target.expressions, row.expressions, strict=False):
        constant = _constant(value)
        if constant is not None:
            name = column.name if column.args.get("quoted") else fold(column.name)
            yield name, Domain(values=(constant,))


def _constant(node: exp.Expr | None) -> str | None:
    """A constant as SQL text: a number, a string, true or false."""
    from sqlglot import exp

    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return f"-{node.this.name}"
    if isinstance(node, exp.Boolean):
        return "true" if node.this else "false"
    if isinstance(node, exp.Literal):
        return f"'{node.name}'" if node.is_string else node.name
    return None
