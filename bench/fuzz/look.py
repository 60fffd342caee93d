"""What must hold for every input: an answer, and one that can be written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from dfc.cli.moving import move
from dfc.cli.sources import Unreadable, decode
from dfc.compiler.answer import answer_file, encoded
from dfc.compiler.driver import compile_wire
from dfc.compiler.layout.file import format_file
from dfc.compiler.plan_json import from_json, plan_hash
from dfc.compiler.schema import SchemaSource, read_schema
from dfc.compiler.source import Source
from dfc.compiler.sql.laying import sql_lines


def look(data: bytes) -> bool:
    """Read, compile and render a file as `dfc validate` does; whether it is valid. Raises what is wrong.

    What is text is laid out as well, read as DDL, and its plans are read back and compared with themselves.
    """
    try:
        text = decode("fuzz.dfsql", data)
    except Unreadable as refused:
        assert refused.rendered() and refused.problem().code
        return False
    answer = answer_file(Source("fuzz.dfsql", text), closely=True)
    encoded(answer)
    errors = False
    for found in cast("Iterable[Mapping[str, Any]]", answer["diagnostics"]):
        start, end = found["span"]
        assert 0 <= start <= end <= len(text), found
        assert found["line"] >= 1 and found["column"] >= 1 and found["message"], found
        errors = errors or found["severity"] == "error"
    for statement in cast("Iterable[Mapping[str, Any]]", answer["statements"]):
        if statement["kind"] == "workflow" and not errors:
            assert statement["wire"] is not None, "no error, and nothing to run"
            if statement["plan"] is not None and "{" not in text:
                again = compile_wire(statement["wire"])
                assert again.plan is not None, "what one door takes, the other one refuses"
            if statement["plan"] is not None:
                _look_at_plan(statement)
    _look_at_layout(text)
    read_schema([SchemaSource(name="fuzz.sql", text=text)])
    return not errors


def _look_at_plan(statement: Mapping[str, Any]) -> None:
    """A plan is what its JSON says, and no instance of it would have to change anything."""
    plan = from_json(statement["plan"])
    assert plan_hash(plan) == statement["hash"], "read back, the plan is another"
    assert move(plan, plan).difference.changes == (), "the plan differs from itself"


def _look_at_layout(text: str) -> None:
    """A layout is its own layout, and says the same."""
    for sql in (None, sql_lines):
        laid = format_file(Source("fuzz.dfsql", text), sql)
        if laid.text is not None:
            assert not laid.kept, "the layout would say something else"
            again = format_file(Source("fuzz.dfsql", laid.text), sql)
            assert again.text == laid.text, "laid out again, it is another"
