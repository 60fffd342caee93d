"""What is broken: valid workflows, each with the DDL that it needs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dfc.compiler.ast import Text
from dfc.compiler.driver import CompiledFile, CompiledStatement, Origin, compile_file
from dfc.compiler.plan import HttpNode, MapNode, Node, SqlBody, SqlNode, every_node
from dfc.compiler.source import Source
from dfc.compiler.span import Span
from dfc.compiler.statements import Form, Statement, split
from tests.corpus import SCHEMA, statements

GOLDEN = Path(__file__).parent.parent.parent / "golden"


@dataclass(frozen=True, slots=True)
class Body:
    """The statement of a node of a seed, and where each of its runs stands in the source."""

    statement: SqlBody
    node: Node
    origin: Origin

    @property
    def sql(self) -> str:
        return self.statement.sql

    @property
    def kind(self) -> str:
        return self.statement.kind

    @property
    def text(self) -> Text:
        return Text(value=self.sql, span=self.origin.span, pieces=self.origin.sql)

    def place(self, start: int, end: int) -> Span | None:
        """Where `sql[start:end]` stands in the source, in one run and as it is."""
        for piece in self.origin.sql:
            inside = piece.value_start <= start and end <= piece.value_start + piece.length
            if inside and piece.source_end - piece.source_start == piece.length:
                first = piece.source_start + start - piece.value_start
                return Span(first, first + end - start)
        return None


@dataclass(frozen=True)
class Seed:
    """A valid workflow file. `schema` is the name of the DDL that it needs."""

    name: str
    text: str
    schema: str

    @cached_property
    def compiled(self) -> CompiledFile:
        return compile_file(Source(self.name, self.text))

    @cached_property
    def statements(self) -> list[Statement]:
        """The workflows, as lexemes."""
        return [part for part in split(self.text) if part.form in (Form.BARE, Form.CALL)]

    @cached_property
    def nodes(self) -> list[tuple[Node, Origin]]:
        return [
            (node, statement.compiled.provenance[node.id])
            for statement in self.compiled.statements
            if isinstance(statement, CompiledStatement) and statement.compiled.plan is not None
            for node in every_node(statement.compiled.plan.nodes)
        ]

    @cached_property
    def bodies(self) -> list[Body]:
        """The statements of its steps that their author wrote."""
        found: list[Body] = []
        for node, origin in self.nodes:
            body = _body(node)
            if body is not None and origin.sql and self._is_authors(node, origin):
                found.append(Body(body, node, origin))
        return found

    def _is_authors(self, node: Node, origin: Origin) -> bool:
        """Whether the statement is not one that the compiler writes to compute a request."""
        written = self.text[origin.span.start : origin.span.end]
        return not (isinstance(node, HttpNode) and written.startswith("df.http"))

    def chance(self, breaks: str) -> random.Random:
        """The same for the same seed and the same way to break it, in every run."""
        return random.Random(f"{self.name}/{breaks}")


def _body(node: Node) -> SqlBody | None:
    match node:
        case SqlNode(body=body) | MapNode(items=SqlBody() as body) | HttpNode(request=SqlBody() as body):
            return body
        case _:
            return None


SCHEMAS: Mapping[str, Path] = {"golden": GOLDEN / "tables.sql", "corpus": SCHEMA}


def golden_seeds() -> Iterator[Seed]:
    """Every workflow of golden/ok."""
    for path in sorted((GOLDEN / "ok").glob("*/workflow.dfsql")):
        yield Seed(path.parent.name, path.read_bytes().decode(), "golden")


def corpus_seeds(every: int) -> Iterator[Seed]:
    """Each `every`-th statement of the corpus, as a step."""
    for number, statement in enumerate(statements()):
        if number % every == 0:
            yield Seed(f"corpus {number} ({statement.topic})", statement.workflow, "corpus")
