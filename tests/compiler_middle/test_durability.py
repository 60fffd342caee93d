"""The durability report: each construct has its row, and no effect outside of a transaction is overlooked."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import errors, exp, parse
from syrupy.assertion import SnapshotAssertion

from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.plan import (
    ConstantNode,
    Delivery,
    Form,
    HttpNode,
    Leaf,
    MapNode,
    Plan,
    Returns,
    SqlBody,
    SqlNode,
    Structure,
    every_node,
)
from dfc.compiler.plan_builtins import NOT_VOLATILE, VOLATILE
from dfc.compiler.plan_calls import calls, words
from dfc.compiler.plan_deaths import DEATHS, WORDS, How
from dfc.compiler.plan_durability import Durability, Times, durability, to_json
from dfc.compiler.plan_effects import HARMLESS, OUTSIDE, UNTOLD, effects_of
from dfc.compiler.source import Source
from tests.compiler_middle.plans import plans
from tests.compiler_sql.statements import CASES as CASES_OF_COMMANDS
from tests.postgres import FAST, Server
from tests.test_golden import GOLDEN, GoldenFile

CASES = GOLDEN / "durability"
INPUT = "workflow.dfsql"
ROOT = Path(__file__).resolve().parent.parent.parent


def reports(folder: Path) -> list[tuple[Plan, Durability]]:
    """The plans of a case, and what is reported of them."""
    found: list[tuple[Plan, Durability]] = []
    for statement in compile_file(Source(INPUT, (folder / INPUT).read_text())).statements:
        assert isinstance(statement, CompiledStatement) and statement.compiled.plan is not None
        plan = statement.compiled.plan
        found.append((plan, durability(plan, dict(statement.statement.options).get("database"))))
    return found


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_report(case: str, snapshot: SnapshotAssertion) -> None:
    assert {path.name for path in (CASES / case).iterdir()} <= {INPUT, "report.json"}
    shown = [to_json(report) for _, report in reports(CASES / case)]
    text = json.dumps(shown, indent=1, ensure_ascii=False) + "\n"
    assert text == snapshot.use_extension(GoldenFile)(name=f"durability/{case}/report.json")


def test_every_construct_and_every_way_is_in_a_case() -> None:
    found = [pair for folder in CASES.iterdir() for pair in reports(folder)]
    kinds = {type(node) for plan, _ in found for node in every_node(plan.nodes)}
    # A constant stands only where the compiler has put one.
    assert {*Leaf.__args__, *Structure.__args__} - kinds <= {ConstantNode}
    assert {row.how for _, report in found for row in report.rows} == set(How)
    assert DEATHS.keys() == WORDS.keys() == set(How)


@given(plans())
def test_every_node_has_its_rows(plan: Plan) -> None:
    report = durability(plan)
    nodes = list(every_node(plan.nodes))
    assert list(dict.fromkeys(row.node for row in report.rows)) == [node.id for node in nodes]
    assert len({row.path for row in report.rows}) == len(report.rows)
    assert sum(report.counts().values()) == len({row.node for row in report.rows if row.times})
    classes = {row.path: row for row in report.rows}
    for node in nodes:
        match node:
            case SqlNode() if classes[node.id].times is Times.EXACTLY_ONCE:
                assert node.body.form is not Form.AUTOCOMMIT
                assert not effects_of(node.body).outside
            case HttpNode():
                path = f"{node.id}/response" if isinstance(node.request, SqlBody) else node.id
                is_once = node.policy.delivery is Delivery.AT_MOST_ONCE
                assert classes[path].times is (Times.AT_MOST_ONCE if is_once else Times.AT_LEAST_ONCE)
            case MapNode():
                assert (classes[node.id].times is None) == (not isinstance(node.items, SqlBody))
            case _:
                pass
    json.dumps(to_json(report))


def test_the_summary_counts_a_step_of_several_parts_once() -> None:
    [(_, report)] = reports(CASES / "elsewhere")
    assert report.summary() == "8 steps: 6 exactly once, 2 at least once"
    assert Durability(rows=()).summary() == "0 steps"


def test_the_page_has_a_row_for_each_kind_which_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "reference" / "durability.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if "`test_" in line]
    assert [(row[0], row[3], row[4]) for row in rows] == [
        (WORDS[how], DEATHS[how].during, DEATHS[how].seen) for how in How
    ]
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row[5])
        assert names and all(f"def {name}(" in tests for name in names), row


def statement(sql: str, kind: str = "select") -> SqlBody:
    return SqlBody(sql=sql, kind=kind, form=Form.EXECUTE, returns=Returns.ROWS)


@pytest.mark.parametrize(
    ("sql", "called"),
    [
        ("SELECT f(x), app.g($a.b), 'h(1)' FROM t AS z (a, b)", ["f", "app.g"]),
        ("WITH a (x) AS (SELECT 1), b (y) AS NOT MATERIALIZED (SELECT q()) SELECT f(y) FROM b", ["q", "f"]),
        ("SELECT DISTINCT ON (a) f(b) FROM (VALUES (1)) v (a)", ["f"]),
        (
            "SELECT x::numeric(10, 2), CAST(x AS char(3)), count(*) FILTER (WHERE true) OVER (ORDER BY 1)",
            ["count"],
        ),
        ("INSERT INTO s.t (a) VALUES (f(1)) ON CONFLICT (a) DO UPDATE SET a = g(2)", ["f", "g"]),
        ("SELECT * FROM a JOIN f(1) ON g(2) JOIN b USING (x), LATERAL h(3) AS r (c int)", ["f", "g", "h"]),
        ('SELECT e\'a\\\'f(\', U&"x"(1), $$ f(1) $$, $t$ f(1) $t$, "Own" (2)', ["x", "Own"]),
        ("SELECT 1 /* f( /* g( */ h( */ -- f(\n + f(1)", ["f"]),
        ("SELECT a FROM t TABLESAMPLE bernoulli (10) WHERE a NOT IN (1) AND a = ANY (f(2))", ["f"]),
        ("CALL app.run(1, f(2))", ["app.run", "f"]),
        ("SELECT f(", ["f"]),
        ("SELECT 'f(", []),
        ("/* f(", []),
    ],
)
def test_calls(sql: str, called: list[str]) -> None:
    assert [call.written for call in calls(words(sql))] == called


@given(st.text(alphabet=st.sampled_from("fg1 .,()\"'$\\/*-:\n\u00e9")))
def test_any_text_is_read(sql: str) -> None:
    assert all(0 <= call.start < len(sql) and call.name for call in calls(words(sql)) if call.name)
    effects_of(statement(sql))


def test_calls_takes_time_by_length() -> None:
    deep = "SELECT " + "f(" * 50_000 + ")" * 50_000
    assert sum(1 for _ in calls(words(deep))) == 50_000


def texts() -> list[str]:
    """Statements of every command, and those of all golden workflows."""
    kinds = {"select", "values", "insert", "update", "delete", "merge", "call", "copy", "explain"}
    found = [case.sql for case in CASES_OF_COMMANDS if case.kind in kinds]
    for folder in (GOLDEN / "ok").iterdir():
        for each in compile_file(Source(INPUT, (folder / INPUT).read_bytes().decode())).statements:
            plan = each.compiled.plan if isinstance(each, CompiledStatement) else None
            nodes = [] if plan is None else list(every_node(plan.nodes))
            found += [node.body.sql for node in nodes if isinstance(node, SqlNode)]
    return found


def test_a_parser_finds_no_call_that_was_overlooked() -> None:
    compared = 0
    for sql in texts():
        try:
            trees = parse(sql.replace("$", "a"), dialect="postgres")
        except (errors.ParseError, errors.TokenError, TypeError):
            continue  # not every statement of PostgreSQL is one of sqlglot's
        mine = {call.name for call in calls(words(sql.replace("$", "a")))}
        found = [node for tree in trees if tree is not None for node in tree.find_all(exp.Anonymous)]
        theirs = {node.name.lower() for node in found} - {"all", "row", "merge_action"}
        assert theirs <= mine, sql
        compared += len(theirs)
    assert compared > 2


def test_of_statements_of_every_command_only_own_functions_are_untold() -> None:
    found: set[str] = set()
    for case in CASES_OF_COMMANDS:
        found |= set(effects_of(statement(case.sql, case.kind)).untold)
    assert found == {"f()", "p()", "p_out()", "the block of DO", "the script of the extension"}


@pytest.mark.parametrize("version", ["18", "16"])
def test_all_functions_of_postgres_that_may_have_effects_are_known(version: str) -> None:
    server = Server(version, FAST)
    with contextlib.ExitStack() as stack:
        stack.callback(server.remove)
        server.start()
        connection = stack.enter_context(psycopg.connect(server.url()))
        rows = connection.execute(
            "SELECT proname, provolatile = 'v', 'internal'::regtype = ANY (proargtypes)"
            " OR 'cstring'::regtype = ANY (proargtypes) OR prorettype IN (SELECT oid FROM pg_type"
            " WHERE typtype = 'p' AND typname ~ 'trigger|handler|internal|cstring')"
            " FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
        ).fetchall()
    volatile = {name for name, is_volatile, is_internal in rows if is_volatile and not is_internal}
    outside = {name for name in OUTSIDE if name in volatile}
    assert not volatile & (NOT_VOLATILE - {"random"})
    unknown = volatile - VOLATILE - OUTSIDE.keys() - UNTOLD - {"nextval"}
    assert {name for name in unknown if not name.startswith("binary_upgrade_")} == set()
    assert len(outside) > 25
    assert OUTSIDE.keys() >= HARMLESS
    assert not (VOLATILE | NOT_VOLATILE) & (OUTSIDE.keys() | UNTOLD)
