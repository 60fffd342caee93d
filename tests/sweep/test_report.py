"""What the sweep expects to happen more than once is what the durability report calls at least once."""

from __future__ import annotations

import re

import pytest

from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.plan import HttpNode, SqlNode, every_node
from dfc.compiler.plan_durability import Times, durability
from dfc.compiler.source import Source
from tests.sweep.plans import PLANS, Swept


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_the_report_and_the_sweep_agree(plan: Swept) -> None:
    text = re.sub(r"put\('([\w ]+)'\)", r"'INSERT INTO ledger VALUES (''\1'')'", plan.workflow)
    text = text.replace("{url}", "http://127.0.0.1")
    [statement] = compile_file(Source(plan.name, f"SELECT df.start({text});")).statements
    assert isinstance(statement, CompiledStatement) and statement.compiled.plan is not None
    nodes = {node.id: node for node in every_node(statement.compiled.plan.nodes)}
    repeated = [
        nodes[row.node]
        for row in durability(statement.compiled.plan).rows
        if row.times is not None and row.times is not Times.EXACTLY_ONCE
    ]
    effects = [node.body.sql for node in repeated if isinstance(node, SqlNode)]
    assert all(any(f"'{effect}'" in sql for effect in plan.often) for sql in effects)
    assert len(effects) == len(plan.often)
    assert all(isinstance(node, SqlNode | HttpNode) for node in repeated)
