"""Bad input: code, place, caret and help for files, one line for everything else; never a traceback."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from dfc.cli.database import target
from dfc.cli.errors import explain
from tests.cli.conftest import Run, environment, limited


def said(text: str) -> list[str]:
    """The lines of a message; none is a traceback."""
    assert "Traceback" not in text, text
    return text.splitlines()


@pytest.mark.parametrize("command", ["run", "compile", "explain", "start"])
def test_a_file_that_is_not_there(dfc: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "nightly.dfsql").write_text("SELECT df.start('SELECT 1');")
    answer = dfc(command, "nigthly.dfsql")
    assert answer.returncode == 1
    assert said(answer.stderr)[:3] == [
        "error[DF158]: there is no file `nigthly.dfsql`",
        "  --> nigthly.dfsql",
        "  = help: did you mean `nightly.dfsql`?",
    ]


@pytest.mark.parametrize("command", ["validate", "fmt"])
def test_a_name_that_is_too_long(dfc: Run, command: str) -> None:
    answer = dfc(command, "a" * 5000)
    assert answer.returncode == 1
    assert "error[DF158]: cannot read" in answer.stdout + answer.stderr
    assert "unexpected" not in answer.stderr


def test_odd_names(dfc: Run, tmp_path: Path) -> None:
    """No line and no escape of a terminal comes out of a name; a link to nothing is not what was meant."""
    (tmp_path / "gone.dfsql").symlink_to("nowhere.dfsql")
    answer = dfc("compile", "gone.dfsql")
    assert "= help: check the path" in answer.stderr
    for name in ("a\nb.dfsql", "\x1b[31m.dfsql"):
        answer = dfc("validate", name)
        assert answer.returncode == 1 and "\x1b" not in answer.stdout
        assert said(answer.stdout)[1].startswith("  --> ")


def test_not_utf8_says_which_byte(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "latin.dfsql").write_bytes("-- é\nSELECT df.start('ä');".encode("latin-1"))
    answer = dfc("validate", "latin.dfsql", "--format", "json")
    assert answer.returncode == 1
    (problem,) = json.loads(answer.stdout)
    assert (problem["code"], problem["line"], problem["column"]) == ("DF157", 1, 4)
    assert problem["byte_offset"] == 3
    human = dfc("run", "latin.dfsql")
    assert " --> latin.dfsql:1:4" in human.stderr
    assert "   |    ^" in said(human.stderr)


BAD = {
    "empty": "",
    "only_comments": "-- nothing\n/* at all */",
    "nul": "SELECT df.start('SELECT \0 1');",
    "quote": "SELECT df.start('SELECT 1);",
    "parenthesis": "SELECT df.start(df.step('a', 'SELECT 1');",
    "dollar_quote": "SELECT df.start(df.step('a', $x$ SELECT 1 ));",
    "unknown_function": "SELECT df.start(df.stepp('a', 'SELECT 1'));",
    "arguments": "SELECT df.start(df.step('a'));",
    "duplicate": "SELECT df.start(df.step('a', 'SELECT 1') ~> df.step('a', 'SELECT 2'));",
    "reference": "SELECT df.start(df.step('a', 'SELECT 1') ~> df.step('b', 'SELECT $c'));",
    "two_statements": "SELECT df.start(df.step('a', 'SELECT 1; SELECT 2'));",
    "not_sql": "SELECT df.start(df.step('a', 'SELCT 1'));",
}


def test_all_problems_of_all_files_in_one_run(dfc: Run, tmp_path: Path) -> None:
    for name, text in BAD.items():
        (tmp_path / f"{name}.dfsql").write_text(text)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "skipped.dfsql").write_text("(")
    answer = dfc("validate", ".", "--format", "json")
    assert answer.returncode == 1
    errors = [each for each in json.loads(answer.stdout) if each["severity"] == "error"]
    assert {Path(each["file"]).stem for each in errors} == set(BAD)
    for each in errors:
        assert each["code"].startswith("DF"), each
        assert each["line"] >= 1 and each["column"] >= 1, each
        # What PostgreSQL's grammar refuses has a place, but nothing that would mend it in general.
        assert each["help"] or each["code"] == "DF120", each
    human = dfc("validate", ".")
    assert human.returncode == 1
    lines = said(human.stdout)
    for name in BAD:
        assert any(f" --> {name}.dfsql:" in line for line in lines), (name, human.stdout)
    assert sum("^" in line for line in lines) >= len(BAD)
    assert "did you mean `df.step`?" in human.stdout


def test_warnings_fail_only_when_strict(dfc: Run, tmp_path: Path) -> None:
    text = "SELECT df.start('UPDATE t SET a = 1' & 'UPDATE t SET b = 1');"
    (tmp_path / "lint.dfsql").write_text(text)
    assert dfc("validate", "lint.dfsql").returncode == 0
    assert dfc("validate", "lint.dfsql", "--strict").returncode == 1


def test_validate_reads_standard_input(dfc: Run) -> None:
    assert dfc("validate", "-", input="SELECT df.start('SELECT 1');").returncode == 0
    assert dfc("validate", "-", input="SELECT df.start('SELECT 1';").returncode == 1


@pytest.mark.parametrize("command", [("validate",), ("fmt",), ("fmt", "--check")])
def test_a_folder_without_workflows_is_an_error(dfc: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "good.dfsql").write_text("SELECT df.start('SELECT 1');\n")
    (tmp_path / "empty/.hidden").mkdir(parents=True)
    (tmp_path / "empty/.hidden/no.dfsql").write_text("SELECT df.start('SELECT 1');\n")
    for paths in (["empty"], ["good.dfsql", "empty"]):
        answer = dfc(*command, *paths)
        assert answer.returncode == 1
        assert "there is no *.dfsql in it" in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    "command", [("validate",), ("fmt",), ("compile",), ("explain",), ("run",), ("diff", "a")]
)
def test_an_empty_name_is_not_the_current_folder(dfc: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "a").write_text("SELECT df.start('SELECT 1');\n")
    answer = dfc(*command, "")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said(answer.stderr) == ["dfc: the name of a file is empty: is a variable of the shell not set?"]


def test_what_of_a_folder_cannot_be_looked_at_is_reported(dfc: Run, tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    (flows / "shut").mkdir(parents=True)
    (flows / "x.dfsql").mkdir()
    (flows / "x.dfsql/a.dfsql").write_text("SELECT df.start('SELECT 1');\n")
    (flows / "gone.dfsql").symlink_to("nowhere")
    (flows / "ring.dfsql").symlink_to("ring.dfsql")
    (flows / "up").symlink_to(".")
    (flows / "zero.dfsql").symlink_to("/dev/zero")
    os.mkfifo(flows / "pipe.dfsql")
    (flows / "shut").chmod(0)
    command = limited("validate", "--format", "json", "flows")
    try:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, timeout=60, check=False
        )
    finally:
        (flows / "shut").chmod(0o700)
    assert done.returncode == 1, done.stderr
    found = {each["file"]: each["message"].partition(": ")[2] for each in json.loads(done.stdout)}
    assert found == {
        "flows/gone.dfsql": "",
        "flows/ring.dfsql": "Too many levels of symbolic links",
        "flows/shut": "Permission denied",
    }


def test_pipes_are_read_once(tmp_path: Path) -> None:
    script = """dfc validate --format json <(echo "'SELECT 1'") <(echo "'SELEC 2'")"""
    command = ["bash", "-c", script.replace("dfc", f"{sys.executable} -m dfc", 1)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, timeout=60, check=False
    )
    assert [each["code"] for each in json.loads(done.stdout)] == ["DF120"], done


def test_a_folder_that_has_been_removed_is_no_place_to_be(tmp_path: Path) -> None:
    (tmp_path / "a.dfsql").write_text("'SELEC 1';\n")
    dfc = f"{sys.executable} -m dfc validate --format sarif"
    script = f"mkdir gone; cd gone; rmdir ../gone; {dfc} a.dfsql; {dfc} {tmp_path / 'a.dfsql'}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert set(said(done.stderr)) == {"dfc: the current folder has been removed: change to another one"}


def test_standard_input_is_read_once(dfc: Run) -> None:
    for arguments in (("validate", "-", "--schema", "-"), ("diff", "-", "-")):
        answer = dfc(*arguments, input="SELECT df.start('SELECT 1');")
        assert answer.returncode == 2 and "only once" in answer.stderr


def test_a_file_is_looked_at_once_however_it_is_written(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.dfsql").write_text("SELECT df.start('SELECT 1');\n")
    (tmp_path / "link.dfsql").symlink_to("a.dfsql")
    paths = ("a.dfsql", "./a.dfsql", "sub/../a.dfsql", str(tmp_path / "a.dfsql"), ".", "link.dfsql")
    assert dfc("validate", *paths).stdout == "2 files, 2 workflows, no problems\n"


@pytest.mark.parametrize(
    ("data", "what", "help"),
    [
        (gzip.compress(b"CREATE TABLE t (a int);"), "compressed with gzip", "gunzip"),
        (bz2.compress(b"CREATE TABLE t (a int);"), "compressed with bzip2", "bunzip2"),
        (lzma.compress(b"CREATE TABLE t (a int);"), "compressed with xz", "unxz"),
        (b"PGDMP\x01\x0e\x00" + b"\0" * 99, "a dump in the custom format", "pg_restore --schema-only"),
        (
            b"toc.dat".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 99,
            "a tar archive",
            "pg_restore --schema-only",
        ),
    ],
    ids=["gzip", "bzip2", "xz", "custom", "tar"],
)
def test_a_dump_that_is_no_text(dfc: Run, tmp_path: Path, data: bytes, what: str, help: str) -> None:
    (tmp_path / "schema.sql").write_bytes(data)
    (tmp_path / "a.dfsql").write_text("SELECT df.start('SELECT 1');\n")
    (line,) = said(dfc("validate", "a.dfsql", "--schema", "schema.sql").stderr)
    assert what in line and help in line
    assert what in dfc("validate", "schema.sql").stdout


def test_a_dump_in_a_folder(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/toc.dat").write_bytes(b"PGDMP")
    (tmp_path / "a.dfsql").write_text("SELECT df.start('SELECT 1');\n")
    (line,) = said(dfc("validate", "a.dfsql", "--schema", "dump").stderr)
    assert "directory format" in line and "pg_restore --schema-only -f schema.sql dump" in line


def test_wrong_usage(dfc: Run) -> None:
    for arguments in (("lst",), ("list", "--nope"), ("worker", "--slots", "0"), ("start",), ()):
        answer = dfc(*arguments)
        assert answer.returncode == 2, arguments
        said(answer.stderr)
    assert "did you mean `dfc list`?" in dfc("lst").stderr


def test_no_database_is_one_line(dfc: Run, tmp_path: Path) -> None:
    for command in (
        ("list",),
        ("init",),
        ("worker",),
        ("show", "1"),
        ("doctor",),
        ("start", "--sql", "SELECT 1"),
    ):
        answer = dfc(*command, "--database", f"postgresql://me@/db?host={tmp_path}")
        assert answer.returncode == 1, command
        (line,) = said(answer.stderr)
        assert line.startswith("dfc: no PostgreSQL answers"), line
    (line,) = said(dfc("list", "--database", "nowhere/.dfc").stderr)
    assert "there is no embedded database" in line


def test_schema_not_installed_and_newer(dfc: Run, bare_database: str) -> None:

    for command in (
        ("list",),
        ("worker",),
        ("start", "--sql", "SELECT 1"),
        ("doctor",),
        ("show", "1"),
        ("cancel", "1"),
        ("pause", "1"),
        ("resume", "--label", "x"),
        ("retry", "--status", "failed"),
        ("fork", "1", "step"),
    ):
        answer = dfc(*command, "--database", bare_database)
        assert answer.returncode == 1, command
        (line,) = said(answer.stderr)
        assert "dfc init" in line, line
    assert dfc("init", "--database", bare_database).returncode == 0
    assert "up to date" in dfc("init", "--database", bare_database).stdout
    with psycopg.connect(bare_database, autocommit=True) as connection:
        connection.execute("UPDATE df.meta SET schema_version = 1000")
    for command in ("init", "worker"):
        answer = dfc(command, "--database", bare_database)
        assert answer.returncode == 1
        (line,) = said(answer.stderr)
        assert "upgrade dfc" in line, line


def test_an_unknown_database_and_a_bad_url(dfc: Run, database: str) -> None:
    missing = database.replace("/test", "/missing")
    answer = dfc("list", "--database", missing)
    assert answer.returncode == 1
    (line,) = said(answer.stderr)
    assert "does not exist" in line
    (line,) = said(dfc("list", "--database", "host=x nope=1").stderr)
    assert "not a connection string" in line


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgres://me:%ZZsekret@h/db",
        "postgresql://me:sekret@[::1/db",
        "postgresql://me:sekret@[]/db",
        "postgresql://me:sekret@[::1]x/db",
        "postgresql:/me:sekret@h/db",
        "postgresql//me:sekret@h=1",
        "host=h password=a sekret",
        "host=h password=a sekret=1",
        "host=h password='sekret",
        "postgresql://me:x@h/db?sekret",
        'postgresql://me:a"sekret%ZZ@h/db',
        "postgresql://me:a@127.0.0.1:sekret@h/db",
    ],
)
def test_no_part_of_a_password_is_shown(conninfo: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        psycopg.connect(conninfo, connect_timeout=5)
    assert "sekret" in str(caught.value) or "'" in conninfo, "libpq quotes what it cannot read"
    line = explain(caught.value)
    assert line is not None and "sekret" not in line
    assert line.startswith("--database is not a connection string or URL")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:sekret@h:5433/db", "user=me dbname=db host=h port=5433"),
        ("host=h password=sekret dbname=db", "dbname=db host=h"),
        ("postgresql://me@h/db?sslpassword=sekret", "user=me dbname=db host=h"),
        ("postgresql://me@h/db", "postgresql://me@h/db"),
        ("db", "db"),
        ("postgresql://me:%ZZsekret@h/db", ""),
    ],
)
def test_a_database_is_shown_without_its_password(given: str, shown: str) -> None:
    """As in `try next: dfc show ... --database ...`."""
    with target(given) as where:
        assert where.option == shown


@pytest.mark.parametrize(
    ("said_by_libpq", "line"),
    [
        (
            'connection to server at "h", port 5432 failed: FATAL:  too many connections for role "r"',
            'PostgreSQL refuses the connection: too many connections for role "r"',
        ),
        (
            'definition of service "x" not found',
            'definition of service "x" not found: check PGSERVICE, `service=` and the service file',
        ),
    ],
)
def test_why_there_is_no_connection(said_by_libpq: str, line: str) -> None:
    assert explain(psycopg.OperationalError(said_by_libpq)) == line


def test_ids(dfc: Run, database: str) -> None:
    first = dfc("start", "--sql", "SELECT 1", "--database", database)
    assert first.returncode == 0, first.stderr
    second = dfc("start", "--sql", "SELECT 2", "--database", database).stdout.strip()
    assert second in dfc("show", second, "--database", database).stdout
    (line,) = said(dfc("show", "0", "--database", database).stderr)
    assert "several ids begin with `0`" in line
    (line,) = said(dfc("cancel", "zzz", "--database", database).stderr)
    assert "there is no workflow `zzz`" in line


def test_reset_asks_and_refuses_what_is_not_its_own(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / ".dfc").mkdir()
    (tmp_path / ".dfc" / "precious").write_text("x")
    answer = dfc("reset")
    assert answer.returncode == 1 and "--yes" in answer.stderr
    answer = dfc("reset", "--yes")
    assert answer.returncode == 1 and "not the directory of an embedded database" in answer.stderr
    assert (tmp_path / ".dfc" / "precious").exists()


def test_streams_that_the_caller_has_closed(tmp_path: Path) -> None:
    (tmp_path / "a.dfsql").write_text("'SELECT 1';")
    command = [sys.executable, "-P", "-m", "dfc", "validate", "a.dfsql"]
    shell = ["sh", "-c", '"$@" <&- >&-', "sh", *command]
    answer = subprocess.run(
        shell, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )
    assert (answer.returncode, answer.stderr) == (0, "")
