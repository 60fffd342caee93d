"""What the SQL door refuses, the file door refuses under the same code."""

from __future__ import annotations

import pytest

from dfc.compiler.ast import ServerStatement
from dfc.compiler.driver import compile_file
from dfc.compiler.source import Source
from tests.sql.test_builders import cases

OTHER_CODES = {
    "DF116": {"DF162", "DF163"},  # an empty or missing array: the file door speaks of arguments
    "DF114": {"DF116", "DF162", ""},  # NULL for what a request needs; of an option it means the default
    "DF169": {"DF163"},  # options are not positional in a file
    "42883": {"DF163"},
    "0A000": {""},
}
"""Where the two doors say different things of the same fault."""


@pytest.mark.parametrize(("expression", "said"), cases("refused.txt"))
def test_one_fault_has_one_code(expression: str, said: str) -> None:
    compiled = compile_file(Source("test", f"SELECT df.start({expression});"))
    if any(isinstance(statement, ServerStatement) for statement in compiled.statements):
        return
    code = said.partition(":")[0]
    codes = {problem.code for problem in compiled.problems if problem.severity == "error"} or {""}
    assert code in codes or codes <= OTHER_CODES.get(code, set())
