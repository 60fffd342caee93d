"""What a schema has: relations with their columns, functions, types. Names are as PostgreSQL stores them.

What DDL cannot tell (an extension's objects, what a DO block made) is not known rather than not there:
`unsure` says so, and whoever looks something up gets `None` for "not there, for certain" only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dfc.compiler.schema.builtins import Signature, builtins

SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema", "pg_toast", "pg_temp", "df"})
"""Schemas that everything may be in: the server's, and the one of dfc."""
DEFAULT_PATH: Final = ("public",)
_EXECUTES: Final = re.compile(r"\bexecute\b")
_MAKES: Final = re.compile(r"\b(?:create|alter|import)\b")


@dataclass(frozen=True, slots=True)
class Typed:
    """A type with its modifier (`(10,2)`). `name` is the one of `pg_type` for what PostgreSQL has, otherwise
    `schema.name`; with `[]` behind it an array; None: not known; `unknown`: a literal that has none yet.
    """

    name: str | None
    modifier: str = ""


NOT_KNOWN: Final = Typed(None)
LITERAL: Final = Typed("unknown")


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `written`: what stops it from being written: `a` (identity, always), `s` (generated), ``."""

    name: str
    type: Typed = NOT_KNOWN
    written: str = ""


@dataclass(slots=True)
class Relation:
    """A table, view or whatever stands in FROM. `columns` None: which ones it has is not known.

    `primary`: the columns of its primary key; `unique`: those of each key that is nothing but columns, the
    primary one included. `other_keys`: there are, or may be, others (of expressions, of some rows).
    """

    schema: str
    name: str
    columns: list[Column] | None
    kind: str = "table"
    children: list[Relation] = field(default_factory=list["Relation"])
    primary: frozenset[str] | None = None
    unique: list[frozenset[str]] = field(default_factory=list[frozenset[str]])
    other_keys: bool = False

    def add_key(self, columns: Sequence[str], *, primary: bool) -> None:
        """A key that is nothing but these columns; none: one of which nothing is known."""
        key = frozenset(columns)
        if not key:
            self.other_keys = True
            return
        self.unique.append(key)
        if primary:
            self.primary = key

    def rename_in_keys(self, old: str, new: str) -> None:
        """A column has another name."""
        self.unique = [frozenset(new if one == old else one for one in key) for key in self.unique]
        if self.primary is not None:
            self.primary = frozenset(new if one == old else one for one in self.primary)

    def drop_column(self, name: str) -> None:
        """A column is gone, and each key that it was a part of."""
        self.unique = [key for key in self.unique if name not in key]
        if self.primary is not None and name in self.primary:
            self.primary = None


@dataclass(slots=True)
class UserType:
    """`kind`: enum, composite, domain, base, other. Labels of an enum; the base of a domain; columns of a
    row; category of a base type, and whether that prefers it.
    """

    schema: str
    name: str
    kind: str
    labels: list[str] = field(default_factory=list[str])
    base: Typed = NOT_KNOWN
    columns: list[Column] | None = None
    category: str = "U"
    preferred: bool = False


@dataclass(slots=True)
class Function:
    """A function of the schema. `body`: its text in lower case, where it is in a string."""

    schema: str
    name: str
    signature: Signature
    body: str = ""


@dataclass(slots=True)
class Unsure:
    """Of what there may be more than was read; `schemas`: anything in these, `everything`: anywhere.

    `newer`: functions, of an extension that may be newer than the one that is known.
    """

    everything: bool = False
    relations: bool = False
    functions: bool = False
    types: bool = False
    operators: bool = False
    newer: bool = False
    schemas: set[str] = field(default_factory=set[str])


class Unclear:
    """The answer of a look-up that cannot be given."""


UNCLEAR: Final = Unclear()


@dataclass(slots=True)
class Catalog:
    """All that is known. `search_path` is what a step looks through.

    `open`: nothing is known but what PostgreSQL has, and anything else may be there, also functions,
    operators and casts for PostgreSQL's own types. Then only that is certain which none of these changes.
    `likely`: yet nobody has used PostgreSQL's names for functions of another kind, `t.a` is a column, and
    `==` is a mistake.

    Of operators and casts it has those of the schema, by name and by types; of casts the context, as pg_cast
    has it.
    """

    schemas: set[str] = field(default_factory=lambda: {"public"})
    relations: dict[tuple[str, str], Relation] = field(default_factory=dict[tuple[str, str], Relation])
    functions: dict[str, list[Function]] = field(default_factory=dict[str, list[Function]])
    types: dict[str, UserType] = field(default_factory=dict[str, UserType])
    operators: dict[str, list[Signature]] = field(default_factory=dict[str, list[Signature]])
    casts: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    extensions: set[str] = field(default_factory=set[str])
    indexes: set[str] = field(default_factory=set[str])
    unsure: Unsure = field(default_factory=Unsure)
    search_path: tuple[str, ...] = DEFAULT_PATH
    open: bool = False
    likely: bool = False
    _places: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _type_places: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def copied(self) -> Catalog:
        """A catalog that relations and types can be added to without changing this one."""
        return replace(
            self,
            schemas=set(self.schemas),
            relations=dict(self.relations),
            functions={name: list(same) for name, same in self.functions.items()},
            types=dict(self.types),
            operators={name: list(same) for name, same in self.operators.items()},
            casts=dict(self.casts),
            extensions=set(self.extensions),
            indexes=set(self.indexes),
            unsure=replace(self.unsure, schemas=set(self.unsure.schemas)),
            _places={name: set(places) for name, places in self._places.items()},
            _type_places={name: set(places) for name, places in self._type_places.items()},
        )

    def add_type(self, type: UserType) -> None:
        """A type, in place of one of the same name."""
        self.types[f"{type.schema}.{type.name}"] = type
        self._type_places.setdefault(type.name, set()).add(type.schema)

    def add(self, relation: Relation) -> None:
        """A relation, in place of one of the same name."""
        self.schemas.add(relation.schema)
        self.relations[relation.schema, relation.name] = relation
        self._places.setdefault(relation.name, set()).add(relation.schema)

    def remove(self, relation: Relation) -> None:
        """A relation that is dropped, renamed or moved."""
        self.relations.pop((relation.schema, relation.name), None)
        self._places.get(relation.name, set()).discard(relation.schema)

    def relation(
        self, schema: str | None, name: str, path: tuple[str, ...] | None = None
    ) -> Relation | Unclear | None:
        """The relation of this name; None: there is none, for certain.

        A name without a schema is looked for in all schemas: what the search path of the session will be is
        not certain, so a name that is elsewhere is no error.
        """
        if schema is not None:
            found = self.relations.get((schema, name))
            return found if found is not None else self._absent(schema)
        path = self.search_path if path is None else path
        for each in path:
            if (found := self.relations.get((each, name))) is not None:
                return found
        if name.startswith("pg_"):
            return UNCLEAR
        elsewhere = self._places.get(name)
        if elsewhere:
            return self.relations[next(iter(elsewhere)), name] if len(elsewhere) == 1 else UNCLEAR
        unsure = (
            self.unsure.everything
            or self.unsure.relations
            or not self.unsure.schemas.isdisjoint((*path, "public"))
        )
        return UNCLEAR if unsure else None

    def _absent(self, schema: str) -> Unclear | None:
        if (
            self.unsure.everything
            or schema in SYSTEM_SCHEMAS
            or schema.startswith("pg_")
            or schema in self.unsure.schemas
        ):
            return UNCLEAR
        return UNCLEAR if self.unsure.relations and schema not in self.schemas - {"public"} else None

    def type(self, schema: str | None, name: str) -> UserType | Unclear | None:
        """A type of the schema, also the one of a table's rows; None: there is none, for certain."""
        if schema is not None:
            found = self.types.get(f"{schema}.{name}")
        else:
            found = next(
                (one for each in self.search_path if (one := self.types.get(f"{each}.{name}"))), None
            )
            if found is None:
                places = self._type_places.get(name, ())
                others = [one for each in places if (one := self.types.get(f"{each}.{name}")) is not None]
                found = others[0] if len(others) == 1 else None
                if len(others) > 1:
                    return UNCLEAR
        if found is not None:
            return found
        relation = self.relation(schema, name)
        if isinstance(relation, Relation):
            return UserType(relation.schema, relation.name, "composite", columns=relation.columns)
        if relation is UNCLEAR or self.unsure.types:
            return UNCLEAR
        return None

    def of_rows(self, type_name: str) -> Relation | None:
        """The table whose rows have the type `schema.name`."""
        schema, _, name = type_name.partition(".")
        return self.relations.get((schema, name))

    def named(self, type_name: str) -> UserType | None:
        """The type behind `schema.name`, where it is one of these."""
        found = self.types.get(type_name)
        if found is None and "." in type_name:
            relation = self.of_rows(type_name)
            if relation is not None:
                return UserType(relation.schema, relation.name, "composite", columns=relation.columns)
        return found

    def function(self, schema: str | None, name: str) -> list[Signature]:
        """All functions that a call may mean, those of PostgreSQL included."""
        own = [each.signature for each in self.functions.get(name, ()) if schema in (None, each.schema)]
        if schema in (None, "pg_catalog"):
            own += builtins().functions.get(name, ())
        return own

    def dynamic(self) -> tuple[str, ...]:
        """Functions that make objects whose names only a run knows, or call one that does."""
        bodies = {name: " ".join(each.body for each in same) for name, same in self.functions.items()}
        found = [name for name, body in bodies.items() if _EXECUTES.search(body) and _MAKES.search(body)]
        todo = list(found)
        while todo:
            called = todo.pop()
            callers = [name for name, body in bodies.items() if called in body and name not in found]
            found += callers
            todo += callers
        return tuple(found)

    def base(self, type_name: str) -> str | None:
        """What a domain is made of; any other type itself."""
        for _ in range(32):
            found = self.types.get(type_name)
            if found is None or found.kind != "domain":
                return type_name
            if found.base.name is None:
                return None
            type_name = found.base.name
        return None


def open_catalog(*, likely: bool = False) -> Catalog:
    """The catalog of a database that nobody has described."""
    unsure = Unsure(everything=True, relations=True, functions=True, types=True, operators=True)
    return Catalog(unsure=unsure, open=True, likely=likely)
