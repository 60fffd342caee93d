"""Reads DDL, that of a file and of the schema, for `relations`. What is not understood says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, TypeAlias

from dfc.compiler.ast import Text
from dfc.compiler.beside.relations import ForeignKey, Relations, Trigger
from dfc.compiler.beside.routines import Routine, plain
from dfc.compiler.schema.split import pieces, script
from dfc.compiler.sql.analysis import analyse
from dfc.compiler.sql.native import Fault
from dfc.compiler.sql.tokens import Token, quoted, split_comments, tokens
from dfc.compiler.sql.trees import Node, names_of, tree_of, unwrapped
from dfc.compiler.sql.uses import Effect, Use

_WANTED: Final = re.compile(
    r"\s*(?:create|alter)\b[^(]*?\b(?:table|view|function|procedure|trigger|rule|unique)\b", re.IGNORECASE
)
_KEY: Final = re.compile(r"\b(?:primary\s+key|unique|exclude|like|inherits|partition\s+of)\b", re.IGNORECASE)
_EVENTS: Final = ((1 << 2, Effect.INSERT), (1 << 3, Effect.DELETE), (1 << 4, Effect.UPDATE))
"""Bits of CreateTrigStmt.events (pg_trigger.h)."""
_COMMANDS: Final = {
    "CMD_INSERT": Effect.INSERT,
    "CMD_UPDATE": Effect.UPDATE,
    "CMD_DELETE": Effect.DELETE,
}


_Statement: TypeAlias = tuple[str, Node]


@lru_cache(maxsize=16)
def relations(scripts: tuple[str, ...], schema: tuple[str, ...] = ()) -> Relations:
    """What the statements beside a workflow say, and the files of the schema."""
    wanted = [text for text in scripts if _WANTED.match(text)]
    if scripts and not wanted:
        return relations((), schema)
    own = [_read(text, tokens(text, split_comments(text)[0])) for text in wanted]
    return _Reading().read([*_of_schema(schema), *own])


@lru_cache(maxsize=4)
def _of_schema(schema: tuple[str, ...]) -> tuple[_Statement, ...]:
    """The statements of the schema that matter. They are the same for all files."""
    return tuple(
        [
            _read(piece.sql, piece.items)
            for text in schema
            for piece in pieces(script(text).text)
            if _WANTED.match(piece.sql)
        ]
    )


def _read(sql: str, items: list[Token]) -> _Statement:
    tree = tree_of(sql, items)
    return (sql, {}) if tree is None or isinstance(tree, Fault) else (sql, tree)


class _Reading:
    """Relations under way."""

    def __init__(self) -> None:
        self._found = Relations()
        self._without: set[str] = set()
        self._keyed: set[str] = set()
        self._kinds: Mapping[str, Callable[[str, Node], None]] = {
            "CreateStmt": self._table,
            "AlterTableStmt": self._alter,
            "ViewStmt": self._view,
            "CreateTableAsStmt": self._table_as,
            "IndexStmt": self._index,
            "CreateTrigStmt": self._trigger,
            "RuleStmt": self._rule,
            "CreateFunctionStmt": self._routine,
        }

    def read(self, statements: Iterable[_Statement]) -> Relations:
        """Take in each statement."""
        for sql, tree in statements:
            kind, node = unwrapped(tree)
            take = self._kinds.get(kind)
            if take is not None:
                take(sql, node)
        self._found.keyless = frozenset(self._without - self._keyed)
        return self._found

    def _table(self, sql: str, node: Node) -> None:
        name = _name(node.get("relation"))
        self._found.tables.add(name)
        (self._keyed if _KEY.search(sql) else self._without).add(name)
        for each in node.get("inhRelations", ()):
            self._found.heirs.setdefault(_name(each.get("RangeVar")), []).append(name)
        if "partspec" in node:
            self._found.partitioned.add(name)
        for element in node.get("tableElts", ()):
            kind, fields = unwrapped(element)
            if kind == "Constraint":
                self._constraint(name, fields, ())
            elif kind == "ColumnDef":
                self._column(name, fields)

    def _column(self, table: str, node: Node) -> None:
        for constraint in node.get("constraints", ()):
            self._constraint(table, constraint.get("Constraint", {}), (node.get("colname", ""),))

    def _constraint(self, table: str, node: Node, columns: tuple[str, ...]) -> None:
        match node.get("contype"):
            case "CONSTR_PRIMARY":
                self._found.primary[table] = frozenset(columns or names_of(node.get("keys")))
            case "CONSTR_FOREIGN":
                key = ForeignKey(
                    child=table,
                    columns=frozenset(columns or names_of(node.get("fk_attrs"))),
                    parent=_name(node.get("pktable")),
                    keys=frozenset(names_of(node.get("pk_attrs"))),
                    on_delete=node.get("fk_del_action", "a"),
                    on_update=node.get("fk_upd_action", "a"),
                )
                self._found.children.setdefault(table, []).append(key)
                self._found.parents.setdefault(key.parent, []).append(key)
            case _:
                pass

    def _alter(self, sql: str, node: Node) -> None:
        table = _name(node.get("relation"))
        if _KEY.search(sql):
            self._keyed.add(table)
        for each in node.get("cmds", ()):
            command = each.get("AlterTableCmd", {})
            kind, fields = unwrapped(command.get("def"))
            match command.get("subtype"), kind:
                case "AT_AddConstraint", "Constraint":
                    self._constraint(table, fields, ())
                case "AT_AddColumn", "ColumnDef":
                    self._column(table, fields)
                case "AT_AttachPartition", "PartitionCmd":
                    self._found.heirs.setdefault(table, []).append(_name(fields.get("name")))
                    self._found.partitioned.add(table)
                case "AT_AddInherit", "RangeVar":
                    self._found.heirs.setdefault(_name(fields), []).append(table)
                case _:
                    pass

    def _view(self, sql: str, node: Node) -> None:
        name = _name(node.get("view"))
        self._found.views[name] = _reads(sql)
        calls = analyse(Text(value=sql)).tables.calls
        self._found.calls[name] = tuple([plain(call.name) for call in calls])

    def _table_as(self, sql: str, node: Node) -> None:
        name = _name(node.get("into", {}).get("rel"))
        if node.get("objtype") == "OBJECT_MATVIEW":
            self._found.stored[name] = _reads(sql)
        else:
            self._found.tables.add(name)
            self._without.add(name)

    def _index(self, sql: str, node: Node) -> None:
        if node.get("unique"):
            self._keyed.add(_name(node.get("relation")))

    def _trigger(self, sql: str, node: Node) -> None:
        events = node.get("events", 0)
        trigger = Trigger(
            what=f"the trigger `{node.get('trigname', '')}`",
            effects=frozenset(effect for bit, effect in _EVENTS if events & bit),
            columns=frozenset(names_of(node.get("columns"))),
            function=".".join(names_of(node.get("funcname"))),
        )
        self._found.triggers.setdefault(_name(node.get("relation")), []).append(trigger)

    def _rule(self, sql: str, node: Node) -> None:
        effect = _COMMANDS.get(node.get("event", ""))
        if effect is None:
            return
        written = sql.partition("DO")[2] or sql.partition("do")[2]
        rule = Trigger(
            what=f"the rule `{node.get('rulename', '')}`",
            effects=frozenset({effect}),
            uses=tuple(_of_rule(written)),
        )
        self._found.triggers.setdefault(_name(node.get("relation")), []).append(rule)

    def _routine(self, sql: str, node: Node) -> None:
        routine = Routine(sql, node)
        self._found.routines.setdefault(routine.name, []).append(routine)


def _of_rule(written: str) -> Iterator[Use]:
    """The uses of the statements behind DO, in brackets where there are several."""
    text = re.sub(r"\A\s*(?:instead|also)\b", "", written, flags=re.IGNORECASE).strip().rstrip(";")
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    for piece in pieces(text):
        for use in analyse(Text(value=piece.sql)).tables.uses:
            if plain(use.table) not in ("new", "old"):
                yield replace(use, start=0, end=0, rows=())


def _reads(sql: str) -> tuple[Use, ...]:
    """What the query of a view reads."""
    uses = analyse(Text(value=sql)).tables.uses
    return tuple([replace(use, start=0, end=0, rows=()) for use in uses if not use.writes])


def _name(node: Any) -> str:
    """The name of a RangeVar, as `Use` has it, without the schema `public`."""
    fields: Node = node or {}
    parts = [quoted(fields[part]) for part in ("schemaname", "relname") if fields.get(part)]
    return plain(".".join(parts))
