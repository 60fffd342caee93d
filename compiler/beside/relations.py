"""What DDL says of tables, and with it what else happens where a statement does something with one of them.

Views read other tables, a foreign key looks at them and changes them, triggers and rules do what they do,
parts and heirs of a table are meant with it. All of that counts so that doubt makes it more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from dfc.compiler.beside.routines import Body, Routine, plain
from dfc.compiler.sql.uses import Effect, Use

BEHIND_MAX: Final = 200
"""How many uses of other tables are followed from one."""
CALLS_MAX: Final = 50
"""How many functions are followed from one."""
_CHANGES: Final = frozenset({Effect.UPDATE, Effect.MERGE})
_FILLS: Final = frozenset({Effect.INSERT, Effect.UPSERT, Effect.MERGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """`columns` of `child` refer to `keys` of `parent`, those of its primary key where `keys` is empty.

    `on_delete` and `on_update` are as libpg_query writes them: c(ascade), n(ull), d(efault), a, r.
    """

    child: str
    columns: frozenset[str]
    parent: str
    keys: frozenset[str]
    on_delete: str
    on_update: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What a trigger calls, or a rule does, at these effects; at an UPDATE of `columns` only, if any."""

    what: str
    effects: frozenset[Effect]
    columns: frozenset[str] = frozenset()
    function: str = ""
    uses: tuple[Use, ...] = ()


@dataclass(slots=True)
class Relations:
    """`views` and `stored` (materialized ones) have what they read, `calls` the functions in views, `heirs`
    the parts of a table.

    `keyless` are the tables that are made here and have no unique key, `tables` all that are made.
    """

    views: dict[str, tuple[Use, ...]] = field(default_factory=dict[str, tuple[Use, ...]])
    calls: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    stored: dict[str, tuple[Use, ...]] = field(default_factory=dict[str, tuple[Use, ...]])
    heirs: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    partitioned: set[str] = field(default_factory=set[str])
    parents: dict[str, list[ForeignKey]] = field(default_factory=dict[str, list[ForeignKey]])
    children: dict[str, list[ForeignKey]] = field(default_factory=dict[str, list[ForeignKey]])
    primary: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    triggers: dict[str, list[Trigger]] = field(default_factory=dict[str, list[Trigger]])
    routines: dict[str, list[Routine]] = field(default_factory=dict[str, list[Routine]])
    keyless: frozenset[str] = frozenset()
    tables: set[str] = field(default_factory=set[str])
    _bodies: dict[str, Body] = field(default_factory=dict[str, Body])

    def behind(self, use: Use) -> Iterator[Use]:
        """A use, by the plain name of its table, and those of other tables that come with it."""
        todo = [replace(use, table=plain(use.table)) if use.table != plain(use.table) else use]
        seen: set[tuple[str, Effect, frozenset[str] | None]] = set()
        for one in todo:
            if (key := (one.table, one.effect, one.changed)) not in seen and len(seen) < BEHIND_MAX:
                seen.add(key)
                yield one
                todo += self._next(one)

    def called(self, name: str) -> Body:
        """What a function does, with those that it calls; not known where there is none of this name."""
        known = self._bodies.get(name)
        if known is None:
            known = self._bodies[name] = self._followed(plain(name))
        return known

    def _followed(self, name: str) -> Body:
        uses: dict[Use, None] = {}
        known = name in self.routines
        todo = [name]
        for each in todo:
            for routine in self.routines.get(each, ()):
                body = routine.body(self.tables)
                uses.update(dict.fromkeys(body.uses))
                known = known and body.known
                todo += [call for call in body.calls if call in self.routines and call not in todo]
            if len(todo) > CALLS_MAX:
                return Body(uses=tuple(uses))
        return Body(uses=tuple(uses), known=known)

    def _next(self, use: Use) -> Iterator[Use]:
        yield from self._of_view(use)
        yield from self._of_heirs(use)
        yield from self._of_keys(use)
        for trigger in self.triggers.get(use.table, ()):
            if _fires(trigger, use):
                body = self.called(trigger.function).uses if trigger.function else trigger.uses
                for one in body:
                    yield _through(use, one, trigger.what)

    def _of_view(self, use: Use) -> Iterator[Use]:
        word = f"the view `{use.table}`"
        if use.effect is Effect.DEFINE:
            for one in self.stored.get(use.table, ()):
                yield _through(use, one, word)
            return
        for name in self.calls.get(use.table, ()) if not use.writes else ():
            for one in self.called(name).uses:
                yield _through(use, one, word)
        for one in self.views.get(use.table, ()):
            if use.writes:
                one = replace(one, effect=use.effect, changed=None, read=None, rows=())
            yield _through(use, one, word)

    def _of_heirs(self, use: Use) -> Iterator[Use]:
        if use.only or (use.effect is Effect.INSERT and use.table not in self.partitioned):
            return
        for heir in self.heirs.get(use.table, ()):
            yield replace(use, table=heir, through=use.through or f"`{use.table}`")

    def _of_keys(self, use: Use) -> Iterator[Use]:
        for key in self.children.get(use.table, ()):
            if use.effect in _FILLS or _touches(use, key.columns):
                read = key.keys or self.primary.get(key.parent)
                one = Use(table=key.parent, effect=Effect.READ, read=read, start=0, end=0)
                yield _through(use, one, f"the foreign key of `{key.child}`")
        for key in self.parents.get(use.table, ()):
            keys = key.keys or self.primary.get(key.parent, frozenset())
            if use.effect in (Effect.DELETE, Effect.MERGE):
                action, gone = key.on_delete, Effect.DELETE
            elif _touches(use, keys):
                action, gone = key.on_update, Effect.UPDATE
            else:
                continue
            effect = {"c": gone, "n": Effect.UPDATE, "d": Effect.UPDATE}.get(action, Effect.READ)
            one = Use(
                table=key.child,
                effect=effect,
                changed=key.columns if effect is Effect.UPDATE else None,
                read=None if effect is Effect.DELETE else key.columns,
                start=0,
                end=0,
            )
            yield _through(use, one, f"the foreign key of `{key.child}`")


def _through(use: Use, one: Use, word: str) -> Use:
    """A use of another table that comes with one, at its place."""
    return replace(one, table=plain(one.table), start=use.start, end=use.end, through=word)


def _touches(use: Use, columns: frozenset[str]) -> bool:
    """Whether a use changes columns of rows that are there."""
    if use.effect not in _CHANGES:
        return False
    return use.changed is None or not use.changed.isdisjoint(columns)


def _fires(trigger: Trigger, use: Use) -> bool:
    effects = {
        Effect.UPSERT: {Effect.INSERT, Effect.UPDATE},
        Effect.MERGE: {Effect.INSERT, Effect.UPDATE, Effect.DELETE},
    }.get(use.effect, {use.effect})
    if trigger.effects.isdisjoint(effects):
        return False
    of_columns = use.effect is Effect.UPDATE and trigger.columns and use.changed is not None
    return not of_columns or not trigger.columns.isdisjoint(use.changed or ())
