"""What must hold for every input: an answer, and one that can be written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from dfc.cli.sources import Unreadable, decode
from dfc.compiler.answer import answer_file, encoded
from dfc.compiler.driver import compile_wire
from dfc.compiler.source import Source


def look(data: bytes) -> bool:
    """Read, compile and render a file as `dfc validate` does; whether it is valid. Raises what is wrong."""
    try:
        text = decode("fuzz.dfsql", data)
    except Unreadable as refused:
        assert refused.rendered() and refused.problem().code
        return False
    answer = answer_file(Source("fuzz.dfsql", text))
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
    return not errors
