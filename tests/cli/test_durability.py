"""The durability report against real kills: what it calls exactly once is never found to be otherwise, and
what it calls at least once does happen twice."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dfc.cli.compiling import compile_path
from dfc.cli.crashing.report import as_json, steps_of
from dfc.cli.crashing.scratch import Scratch
from dfc.cli.crashing.trial import Limits, Trial
from dfc.cli.crashtest import Asked, crashtest
from dfc.compiler.plan_durability import Row, Times, durability
from dfc.compiler.plan_json import from_json
from dfc.executor.runners.http_mock import read_mock
from tests.cli.conftest import Run
from tests.cli.test_crashtest import EVERYTHING

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"
LIMITS = Limits(wait_seconds_max=60, kills_max=60, jobs=4, rows_shown_max=5)

KINDS = """
CREATE TABLE seen (what text, n int);
CREATE TABLE counter (n int);
INSERT INTO counter VALUES (0);
CREATE PROCEDURE bump() LANGUAGE plpgsql AS $$ BEGIN UPDATE counter SET n = n + 1; COMMIT; END $$;
SELECT df.start(
  df.step('plain', 'INSERT INTO seen VALUES (''plain'', 1)')
  ~> df.step('db', 'SELECT current_database() AS name')
  ~> df.step('outside', 'CALL bump()', autocommit => true)
  ~> df.step('mixed', 'COPY (SELECT 1) TO PROGRAM ''cat >> {folder}/$db''')
  ~> df.step('length', 'INSERT INTO seen SELECT ''mixed'', length(pg_read_file(''{folder}/$db''))')
  ~> df.step('sent', df.http('https://api.example.com/items/7', 'PUT', '{{"a": 1}}'))
  ~> df.step('read', 'INSERT INTO seen SELECT ''outside'', n FROM counter'), 'kinds');
SELECT df.start(df.step('announced', 'CALL bump()', autocommit => true, delivery => 'at_most_once')
  ~> df.step('asked_once', df.http('https://api.example.com/pay', 'POST', '{{}}'),
             delivery => 'at_most_once'), 'once');
"""
"""A step of each kind whose effect and record can be apart."""

WAITS = """
CREATE TABLE seen (what text);
SELECT df.start(
  df.step('started', 'SELECT df.start(df.sleep(0.5) ~> ''INSERT INTO seen VALUES (1)'')')
  ~> df.step('other', df.wait_for_instance('$started'))
  ~> df.step('after', 'INSERT INTO seen VALUES (''after'')'), 'waits');
"""

ANSWERS = [{"url": "*", "json": {"id": 9}}]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Scratch]:
    with Scratch() as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in which a server may write, whoever runs it."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="dfcw", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


def asked(path: Path, folder: Path) -> Asked:
    mock = folder / "mock.json"
    mock.write_text(json.dumps(ANSWERS))
    return Asked(path=path, compilation=compile_path(str(path)), limits=LIMITS, mock=read_mock(mock))


def rows_of(wanted: Asked) -> dict[str, dict[str, list[Row]]]:
    """What the report says of each workflow of a file, by node."""
    found: dict[str, dict[str, list[Row]]] = {}
    for number, workflow in enumerate(wanted.compilation.workflows, start=1):
        report = durability(from_json(workflow.plan), workflow.options.get("database"))
        rows = found.setdefault(workflow.label or f"workflow {number}", {})
        for row in report.rows:
            rows.setdefault(row.node, []).append(row)
    return found


def classes(rows: Sequence[Row]) -> set[Times]:
    return {row.times for row in rows if row.times is not None}


def agree(trial: Trial, rows: dict[str, list[Row]]) -> None:
    """Whatever a kill has shown of a step is what the report says of it."""
    for step in steps_of(trial):
        if step.name not in rows:
            assert step.name == "(the workflow)" or step.name.endswith("(called)")
            continue
        said = classes(rows[step.name])
        match step.nature:
            case "outside" | "request":
                once = "at most once" in step.how
                assert (Times.AT_MOST_ONCE if once else Times.AT_LEAST_ONCE) in said, step
            case "transaction":
                assert Times.AT_LEAST_ONCE in said or step.verdict == "exactly once", step
            case "record":
                pass
        if said <= {Times.EXACTLY_ONCE}:
            assert step.safe, (step, as_json(trial)["differences"])


@pytest.mark.long
def test_what_is_at_least_once_happens_twice(tmp_path: Path, scratch: Scratch, folder: Path) -> None:
    file = tmp_path / "kinds.dfsql"
    file.write_text(KINDS.format(folder=folder))
    wanted = asked(file, tmp_path)
    rows = rows_of(wanted)
    kinds, once = list(crashtest(wanted, scratch))
    agree(kinds, rows["kinds"])
    agree(once, rows["once"])
    assert {name: classes(found) for name, found in rows["kinds"].items()} == {
        **{name: {Times.EXACTLY_ONCE} for name in ("plain", "db", "length", "read")},
        **{name: {Times.AT_LEAST_ONCE} for name in ("outside", "mixed", "sent")},
    }
    differences = {each["step"]: each["in"] for each in as_json(kinds)["differences"]}
    assert differences.keys() == {"outside", "mixed"}
    assert [(each["missing"], each["extra"]) for each in differences["mixed"]] == [
        (("what=mixed, n=2",), ("what=mixed, n=4",))
    ]
    [sent] = as_json(kinds)["requests_repeated"]
    assert (sent["times"], sent["same_key"]) == (2, True)
    found = {step.name: step for step in steps_of(once)}
    for name in ("announced", "asked_once"):
        assert classes(rows["once"][name]) == {Times.AT_MOST_ONCE}
        assert found[name].verdict == "NOT repeated: a death over it fails as `ambiguous`"


@pytest.mark.long
def test_of_every_construct_a_kill_shows_what_is_said(tmp_path: Path, scratch: Scratch) -> None:
    file = tmp_path / "everything.dfsql"
    file.write_text(EVERYTHING)
    wanted = replace(asked(file, tmp_path), signals=(("go", '{"x": 1}'),))
    [trial] = crashtest(wanted, scratch)
    agree(trial, rows_of(wanted)["everything"])


@pytest.mark.long
@pytest.mark.parametrize("example", ["hello", "notify", "order", "report"])
def test_of_examples_a_kill_shows_what_is_said(example: str, tmp_path: Path, scratch: Scratch) -> None:
    wanted = asked(EXAMPLES / f"{example}.dfsql", tmp_path)
    rows = rows_of(wanted)
    for trial in crashtest(wanted, scratch):
        agree(trial, rows[trial.name])


@pytest.mark.long
def test_another_instance_is_waited_for(tmp_path: Path, scratch: Scratch) -> None:
    file = tmp_path / "waits.dfsql"
    file.write_text(WAITS)
    wanted = asked(file, tmp_path)
    [trial] = crashtest(wanted, scratch)
    assert trial.safe, as_json(trial)["differences"]
    assert "other" in {step.name for step in steps_of(trial)}
    agree(trial, rows_of(wanted)["waits"])


def test_the_page_shows_what_the_command_prints(dfc: Run) -> None:
    page = (ROOT / "docs" / "reference" / "durability.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n$ dfc explain --durability ")[2].partition("...\n```")[0]
    path, _, text = shown.partition("\n")
    assert dfc("explain", "--durability", str(ROOT / path)).stdout.startswith(text)


def test_the_command(dfc: Run, tmp_path: Path) -> None:
    text = """
      SELECT df.start(df.step('a', 'SELECT pay(1)') ~> df.step('b', 'VACUUM t'), 'one');
      SELECT df.start('SELECT {n} FROM t', 'two');
    """
    (tmp_path / "flow.dfsql").write_text(text)
    answer = dfc("explain", "--durability", "flow.dfsql")
    assert answer.returncode == 0, answer.stderr
    assert "one: 2 steps: 1 exactly once, 1 at least once\n" in answer.stdout
    assert "a     exactly once *  one transaction with its record\n" in answer.stdout
    assert "`a`: * it cannot be told what pay() may do outside of the transaction" in answer.stdout
    assert "two: cannot be told: variables decide what it does" in answer.stdout
    document = json.loads(dfc("explain", "--durability", "--json", "flow.dfsql").stdout)
    assert [each["workflow"] for each in document] == ["one", "two"]
    assert document[0]["steps"][0]["untold"] == ["pay()"]
    compiled = json.loads(dfc("compile", "flow.dfsql", "--workflow", "one").stdout)
    assert compiled["durability"] == {key: value for key, value in document[0].items() if key != "workflow"}
    assert dfc("explain", "--json", "flow.dfsql").returncode == 2
    assert dfc("explain", "--durability", "--plan", "flow.dfsql").returncode == 2
