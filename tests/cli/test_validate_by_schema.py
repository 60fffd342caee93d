"""`dfc validate --schema` without a server."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from dfc.cli import by_schema
from dfc.cli.by_schema import BySchema
from dfc.cli.errors import CliError
from dfc.executor.compiler_child import Allowance
from tests.cli.conftest import ROOT, Run
from tests.cli.test_validate_depths import BAD, DUMP, GOOD, codes
from tests.describe.support import compilation


def test_a_dump_is_read(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "dump.sql").write_text(DUMP)
    (tmp_path / "good.dfsql").write_text(GOOD)
    (tmp_path / "bad.dfsql").write_text(BAD)
    answer = dfc("validate", "good.dfsql", "bad.dfsql", "--schema", "dump.sql", "--format", "json")
    assert answer.returncode == 1, answer.stderr
    assert codes(answer.stdout) == [("DF402", 3), ("DF406", 4), ("DF403", 5)]
    said = {each["code"]: each for each in json.loads(answer.stdout)}
    assert said["DF402"]["help"] == "did you mean `mail`?"
    assert answer.stderr == ""


def test_what_is_not_understood_is_said_and_held_against_nobody(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("CREATE TABLE t (a int);\n\nCREATE TABEL u (b int);\n")
    (tmp_path / "x.dfsql").write_text("SELECT df.start('SELECT b FROM u');\n")
    answer = dfc("validate", "x.dfsql", "--schema", "a.sql")
    assert answer.returncode == 0, answer.stdout
    assert answer.stderr.startswith("a.sql:3: note: not read: syntax error")


def test_a_workflow_file_can_be_the_schema(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "a.dfsql").write_text("CREATE TABLE t (a int);\nSELECT df.start('SELECT a FROM t');\n")
    (tmp_path / "b.dfsql").write_text("SELECT df.start('SELECT b FROM t');\n")
    answer = dfc("validate", "b.dfsql", "--schema", "a.dfsql", "--format", "json")
    assert codes(answer.stdout) == [("DF402", 1)]


def test_what_runs_at_the_same_time_meets_behind_the_schema(dfc: Run, tmp_path: Path) -> None:
    """By the text alone the two branches have nothing in common; in the schema they have a foreign key."""
    (tmp_path / "a.sql").write_text(
        "CREATE TABLE t (id int PRIMARY KEY);\nCREATE TABLE u (t int REFERENCES t (id) ON DELETE CASCADE);\n"
    )
    (tmp_path / "x.dfsql").write_text("'DELETE FROM t WHERE id = 1' & 'UPDATE u SET t = 2 WHERE t = 3';\n")
    assert "DF202" not in dfc("validate", "x.dfsql").stdout
    for more in ((), ("--exact",)):
        found = dfc("validate", "x.dfsql", "--schema", "a.sql", *more).stdout
        assert "DF202" in found and "through the foreign key of `u`" in found


def test_examples_and_valid_workflows_pass(dfc: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sql"
    empty.write_text("")
    answer = dfc("validate", str(ROOT / "examples"), "--schema", str(empty), "--format", "json")
    assert [each for each in json.loads(answer.stdout) if each["severity"] == "error"] == []
    tables = ROOT / "golden" / "tables.sql"
    answer = dfc("validate", str(ROOT / "golden" / "ok"), "--schema", str(tables), "--format", "json")
    assert [each for each in json.loads(answer.stdout) if each["severity"] == "error"] == []


def test_what_kills_the_reader_of_trees_is_a_diagnostic(tmp_path: Path) -> None:
    """It has the C parser in it; the file that it dies over has DF590, the next one is looked at."""
    path = tmp_path / "a.sql"
    path.write_text("CREATE TABLE t (a int);\n")
    file = compilation("SELECT df.start('SELECT b FROM t');\n")
    with BySchema(lambda name, text: compilation(text, name), (str(path),)) as schema:
        assert [each.code for each in schema.deepen(file).problems] == ["DF402"]
        assert schema.pid is not None and schema.pid != os.getpid()
        os.kill(schema.pid, signal.SIGSEGV)
        [problem] = schema.deepen(file).problems
        assert (problem.code, problem.severity) == ("DF590", "error")
        assert f"signal {signal.SIGSEGV.value}" in problem.message
        assert [each.code for each in schema.deepen(file).problems] == ["DF402"]


def test_a_schema_is_read_in_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.sql"
    path.write_text(
        "".join(f"CREATE TABLE t{n} (a int PRIMARY KEY, b text NOT NULL);\n" for n in range(20_000))
    )
    monkeypatch.setattr(by_schema, "ALLOWED", Allowance(processor_seconds=1))
    with pytest.raises(CliError, match=r"its reader died .*compile_seconds_max"):
        BySchema(lambda name, text: compilation(text, name), (str(path),))


def test_what_needs_no_schema_is_said_without_one_and_once(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "s.sql").write_text("CREATE TABLE t (a int);\n")
    text = "SELECT df.start('SELECT a, count(*) FROM t');\n"
    (tmp_path / "x.dfsql").write_text(text)
    for options in ((), ("--schema", "s.sql")):
        answer = dfc("validate", "x.dfsql", *options, "--format", "json")
        assert answer.returncode == 1
        assert codes(answer.stdout) == [("DF405", 1)]
        assert [each["column"] for each in json.loads(answer.stdout)] == [text.index("a, count") + 1]
    # A plan says what is to be done; what a statement makes of it is known when it runs.
    assert dfc("compile", "x.dfsql").returncode == 0
