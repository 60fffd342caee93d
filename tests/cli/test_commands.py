"""Each command, as a process, against real databases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dfc.cli.errors import BY_SQLSTATE
from dfc.executor.embedded import EmbeddedServer, programs
from tests.cli.conftest import Run, environment
from tests.e2e.harness import WorkerProcess, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
HELLO = "SELECT df.start(df.step('a', 'SELECT 1 AS n') ~> df.step('b', 'SELECT $a + 1 AS n'), 'hello');"
SLOW = """
CREATE TABLE done (step text);
SET application_name = 'from the file';
SELECT df.start(df.step('a', 'INSERT INTO done VALUES (''a'')')
  ~> df.step('b', 'INSERT INTO done SELECT ''b'' FROM gate FOR UPDATE')
  ~> df.step('c', 'INSERT INTO done VALUES (''c'')'), 'slow');
SELECT step, count(*) AS times, current_setting('application_name') AS app FROM done GROUP BY 1 ORDER BY 1;
"""


def test_help_lists_every_command_and_imports_nothing(dfc: Run) -> None:
    answer = dfc("--help")
    assert answer.returncode == 0
    from dfc.cli.app import COMMANDS, cli

    for name in COMMANDS:
        assert f"  {name} " in answer.stdout
        # In this process, one for each would take half a minute.
        with pytest.raises(SystemExit) as left:
            cli.main([name, "--help"], prog_name="dfc")
        assert left.value.code == 0
    assert dfc("--version").stdout.startswith("dfc ")
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dfc", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    for module in ("psycopg", "rich", "asyncio", "lark", "sqlglot", "networkx", "httpx"):
        assert f" {module}\n" not in loaded


def test_the_command_line_never_loads_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "hello.dfsql").write_text(HELLO)
    code = (
        "import sys; from dfc.cli.app import _run; code = _run(['compile', 'hello.dfsql']);"
        "print({'lark', 'sqlglot', 'networkx'} & set(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "set()\n")


def test_compile_gives_documents_that_start(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "hello.dfsql").write_text("CREATE TABLE made (n int);" + HELLO)
    document = json.loads(dfc("compile", "hello.dfsql").stdout)
    assert document["label"] == "hello" and len(document["plan"]["nodes"]) == 2
    assert dfc("compile", "hello.dfsql", "-o", "plan.json").returncode == 0
    assert json.loads((tmp_path / "plan.json").read_text()) == document
    script = dfc("compile", "--sql", "hello.dfsql").stdout
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(script.encode())
        connection.execute("SELECT 1 FROM made")
        row = connection.execute("SELECT id, label FROM df.instances").fetchone()
        assert row is not None and row[1] == "hello"
        with WorkerProcess(database):
            wait_until(lambda: _status(connection, str(row[0])) == "completed", 30, "the end")


def test_the_script_runs_in_psql_with_its_data(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.csv").write_text("1\n2\n")
    text = "CREATE TABLE copied (n int);\nCOPY copied\n  FROM 'x.csv' (FORMAT csv);\n" + HELLO
    (tmp_path / "in" / "copy.dfsql").write_text(text)
    script = dfc("compile", "--sql", "in/copy.dfsql").stdout
    command = [str(programs() / "psql"), "-qAt", "-v", "ON_ERROR_STOP=1", "-d", database]
    ran = subprocess.run(command, input=script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM copied").fetchone() == (2,)
        assert connection.execute("SELECT label FROM df.instances").fetchone() == ("hello",)


def test_a_wrong_password_is_one_line(dfc: Run, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / ".dfc") as server:
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            connection.execute("CREATE ROLE anna LOGIN PASSWORD 'right'")
        rules = server.data / "pg_hba.conf"
        rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        # Not the folder's own path: a long one does not fit into a socket's address.
        host = f"/postgres?host={quote(str(conninfo_to_dict(server.conninfo)['host']), safe='')}"
        for user in ("anna:wrong", "anna"):
            answer = dfc("list", "--database", f"postgresql://{user}@{host}")
            assert answer.returncode == 1
            assert answer.stderr.splitlines() == [f"dfc: {BY_SQLSTATE['28P01']}"]


def test_workflows_are_picked_by_label(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "two.dfsql").write_text(
        "SELECT df.start('SELECT 1', 'one'); SELECT df.start('SELECT 2', 'two');"
    )
    assert json.loads(dfc("compile", "two.dfsql", "--workflow", "two").stdout)["label"] == "two"
    answer = dfc("compile", "two.dfsql", "-o", "x.json")
    assert answer.returncode == 1 and "pick one with --workflow" in answer.stderr
    answer = dfc("compile", "two.dfsql", "--workflow", "three")
    assert answer.returncode == 1 and "`one`, `two`" in answer.stderr


def test_explain_draws(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "hello.dfsql").write_text(HELLO)
    drawn = dfc("explain", "hello.dfsql").stdout
    assert drawn.splitlines()[0] == "hello:"
    assert "SQL a: SELECT 1 AS n" in drawn and "→ SQL b: SELECT $a + 1 AS n" in drawn
    assert "SQL a: SELECT 1 AS n" in dfc("explain", "hello.dfsql", "--plan").stdout
    (tmp_path / "defined.dfsql").write_text(
        "SELECT df.define('nightly', 'SELECT $input.day', params => '{\"day\": \"date\"}');"
    )
    assert dfc("explain", "defined.dfsql").stdout == "nightly:\nSQL: SELECT $input.day\n"


def test_start_list_show_cancel_and_a_worker(
    dfc: Run, tmp_path: Path, database: str, roles: Callable[..., str]
) -> None:
    (tmp_path / "hello.dfsql").write_text(HELLO)
    at = ("--database", database)
    id = dfc("start", "hello.dfsql", *at).stdout.strip()
    assert dfc("list", *at).stdout.startswith("no worker is alive")
    doomed = json.loads(
        dfc("start", "--sql", "SELECT pg_sleep(600)", "--label", "doomed", "--json", *at).stdout
    )
    with WorkerProcess(database) as worker, psycopg.connect(database, autocommit=True) as connection:
        wait_until(lambda: _status(connection, id) == "completed", 30, "the end")
        wait_until(lambda: _status(connection, doomed[0]["id"]) == "running", 30, "the claim")
        assert "is ready" in worker.log.read_text()
        assert "no worker" not in dfc("list", *at).stdout
        assert dfc("doctor", *at).returncode == 0
        anna = roles("anna")
        connection.execute("SELECT df.grant_usage(%s)", [anna])
        unserved = dfc("start", "--sql", "SELECT 1", "--database", make_conninfo(database, user=anna))
        assert f"no worker serves role {anna}" in unserved.stderr
        assert dfc("list", *at).stdout.startswith(f"no worker serves role {anna}: 1 waiting")
        assert f"serves role {anna}" in dfc("show", unserved.stdout.strip(), *at).stdout
        assert dfc("doctor", *at).returncode == 1
        assert dfc("cancel", doomed[0]["id"], "--reason", "enough", *at).returncode == 0
        wait_until(lambda: _status(connection, doomed[0]["id"]) == "cancelled", 30, "the end")
        assert worker.terminate() == 0
    shown = json.loads(dfc("show", id, "--json", *at).stdout)
    assert shown["status"] == "completed"
    assert shown["result"] == {"rows": [{"n": 2}], "row_count": 1}
    assert [step["path"] for step in shown["steps"]] == ["a", "b"]
    assert "enough" in dfc("show", doomed[0]["id"], *at).stdout
    listed = json.loads(dfc("list", "--status", "completed", "--json", *at).stdout)
    assert [each["id"] for each in listed] == [id]
    assert dfc("doctor", *at).returncode == 1


def test_run_on_an_embedded_database(dfc: Run, project: Path) -> None:
    (project / "hello.dfsql").write_text(HELLO)
    answer = dfc("run", "hello.dfsql", cwd=project)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == ["n", "2"]
    assert "✓ a" in answer.stderr and "try next:" in answer.stderr
    outcome = json.loads(dfc("run", "hello.dfsql", "--json", cwd=project).stdout)
    assert outcome[0]["result"] == {"rows": [{"n": 2}], "row_count": 1}
    assert "completed" in dfc("list", cwd=project).stdout
    (project / "values.dfsql").write_text("SELECT ARRAY[date '2026-01-31'] AS days, 1.50 AS n, true AS yes;")
    assert dfc("run", "values.dfsql", cwd=project).stdout.split() == [
        "days",
        "n",
        "yes",
        "{2026-01-31}",
        "1.50",
        "true",
    ]


DEFINITIONS = """
CREATE TABLE IF NOT EXISTS days (day date);
SELECT df.define('keep', 'INSERT INTO days VALUES ($input.day) RETURNING day + 1 AS next',
                 params => '{"day": "date"}', on_failure => 'SELECT $input.error');
SELECT df.start('keep', input => '{"day": "2026-01-31"}');
SELECT df.start(df.sleep(0.2) ~> df.call('keep', '{"day": "$input.d"}'), 'mine',
                input => '{"d": "2026-02-01"}', timeout => '1 min', priority => 3);
"""


def test_run_defines_starts_and_awaits(dfc: Run, project: Path) -> None:
    path = project / "definitions.dfsql"
    path.write_text(DEFINITIONS)
    said = dfc("run", str(path), "--json", cwd=project)
    assert said.returncode == 0, said.stderr
    first, second = json.loads(said.stdout)
    assert (first["status"], first["result"]["rows"]) == ("completed", [{"next": "2026-02-01"}])
    assert (second["label"], second["result"]["rows"]) == ("mine", [{"next": "2026-02-02"}])
    path.write_text("SELECT df.start('kept');")
    said = dfc("run", str(path), cwd=project)
    assert said.returncode == 1
    assert "error[42704]" in said.stderr and "There is 'keep'." in said.stderr


def test_a_definition_is_no_start(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "w.dfsql").write_text(DEFINITIONS)
    script = dfc("compile", "--sql", "w.dfsql").stdout
    assert "SELECT df.define('keep'" in script and "SELECT df.start('keep'" in script
    assert "'mine', input => " in script and "priority => '3'" in script
    (tmp_path / "d.dfsql").write_text("SELECT df.define('keep', 'SELECT 1');")
    said = dfc("start", "d.dfsql", "--database", database)
    assert said.returncode == 1 and "starts no workflow" in said.stderr


def test_run_shows_where_a_step_failed(dfc: Run, project: Path) -> None:
    (project / "fail.dfsql").write_text(
        "SELECT df.start(\n  df.step('bad', $$\n  SELECT nmae FROM pg_class $$));\nSELECT 1;"
    )
    answer = dfc("run", "fail.dfsql", cwd=project)
    assert answer.returncode == 1
    assert 'error[42703]: step `bad` failed: column "nmae" does not exist' in answer.stderr
    assert " --> fail.dfsql:3:10" in answer.stderr
    assert " 3 |   SELECT nmae FROM pg_class $$));\n   |          ^^^^" in answer.stderr


def test_run_stops_at_a_server_statement_that_fails(dfc: Run, project: Path) -> None:
    (project / "ddl.dfsql").write_text("CREATE TABLE kept (n int);\nCREATE TABLE odd (n intt);\n" + HELLO)
    answer = dfc("run", "ddl.dfsql", cwd=project)
    assert answer.returncode == 1
    assert "error[42704]" in answer.stderr and " --> ddl.dfsql:2:21" in answer.stderr
    (project / "ddl.dfsql").write_text("SELECT count(*) FROM kept;\nCOMMIT;")
    answer = dfc("run", "ddl.dfsql", cwd=project)
    assert answer.returncode == 1 and "error[DF124]" in answer.stderr


def test_run_copies_a_file_beside_the_workflow(dfc: Run, project: Path) -> None:
    (project / "it's.csv").write_text("1,one\n2,two\n")
    (project / "copy.dfsql").write_text(
        "CREATE TABLE c (n int, t text);\n-- the file\nCOPY c FROM 'it''s.csv' (FORMAT csv);\n"
        "SELECT count(*) FROM c;"
    )
    answer = dfc("run", "copy.dfsql", cwd=project)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == ["count", "2"]
    (project / "copy.dfsql").write_text("COPY c FROM 'none.csv';")
    answer = dfc("run", str(project / "copy.dfsql"))
    assert answer.returncode == 1 and "COPY cannot read" in answer.stderr


@pytest.mark.long
def test_run_killed_goes_on_where_it_stood(dfc: Run, project: Path) -> None:
    (project / "slow.dfsql").write_text(SLOW)
    command = [sys.executable, "-P", "-m", "dfc", "run", "slow.dfsql"]
    # Step b waits for a row that the test holds, so that the run is killed in the middle.
    with EmbeddedServer(project / ".dfc") as server, psycopg.connect(server.conninfo) as locker:
        locker.execute("CREATE TABLE gate (n int); INSERT INTO gate VALUES (1); COMMIT")
        locker.execute("SELECT * FROM gate FOR UPDATE")
        first = subprocess.Popen(
            command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert first.stderr is not None
        children: set[int] = set()
        for line in first.stderr:
            if "✓ a" in line:
                children = _children(first.pid)
                break
        first.kill()
        first.communicate()
        assert children, "the run had a worker"
        wait_until(lambda: not any(map(_alive, children)), 30, "the worker dies with its parent")
    again = dfc("run", "slow.dfsql", cwd=project)
    assert again.returncode == 0, again.stderr
    assert "continuing the run" in again.stderr and "2 of 4 statements" in again.stderr
    rows = [line.split(maxsplit=2) for line in again.stdout.splitlines()]
    assert rows[-3:] == [[step, "1", "from the file"] for step in "abc"]
    # A run that came to its end is not continued: the next one meets the table.
    assert "already exists" in dfc("run", "slow.dfsql", cwd=project).stderr


def test_run_is_interrupted_with_a_word(dfc: Run, project: Path) -> None:
    (project / "long.dfsql").write_text(
        "SELECT df.start(df.step('a', 'SELECT 1') ~> df.step('b', 'SELECT pg_sleep(60)'));"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dfc", "run", "long.dfsql"],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell has it ignored by what it starts in the background, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "✓ a" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is lost" in rest and "Traceback" not in rest
    listed = json.loads(dfc("list", "--json", cwd=project).stdout)
    open_one = next(each for each in listed if each["completed_at"] is None)
    assert dfc("cancel", open_one["id"], cwd=project).returncode == 0


def test_up_prints_a_url_and_stops_in_order(project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dfc", "up"],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().split("'")[1]
    worker = int(process.stdout.readline().split("process ")[1].split(",")[0])
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ("SELECT df.start('SELECT 1')", "SELECT df.start('SELECT 2')"):
            row = connection.execute(statement).fetchone()
            assert row is not None
            id = str(row[0])
            wait_until(lambda id=id: _status(connection, id) == "completed", 30, "the end")
            if _alive(worker):
                os.kill(worker, signal.SIGKILL)  # a new one takes its place
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "a new one takes over" in said


def _status(connection: psycopg.Connection[Any], id: str) -> object:
    row = connection.execute("SELECT status FROM df.instances WHERE id = %s", [id]).fetchone()
    return None if row is None else row[0]


def _children(pid: int) -> set[int]:
    """The `dfc worker` processes that a process has started."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    fields = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return {int(child) for child, parent, args in fields if int(parent) == pid and " worker " in args}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_host_that_no_request_could_fit_is_refused(dfc: Run) -> None:
    hosts = ("http://example.org", "example.org/path", "*.example.org", " ")
    for host, command in zip(hosts, (("worker",), ("up",), ("run", "x.dfsql"), ("worker",)), strict=True):
        answer = dfc(*command, "--allow-host", host)
        assert (answer.returncode, "is not a host" in answer.stderr) == (2, True), answer.stderr


def test_run_reaches_the_hosts_that_it_was_told(dfc: Run, project: Path) -> None:
    (project / "out.dfsql").write_text("SELECT df.start(df.http('http://name.invalid:9/', 'GET'), 'out');")
    refused = dfc("run", "out.dfsql", cwd=project)
    assert refused.returncode == 1 and "--allow-host name.invalid " in refused.stderr, refused.stderr
    # It is looked up now, and there is no such name.
    tried = dfc("run", "out.dfsql", "--allow-host", "name.invalid", cwd=project)
    assert tried.returncode == 1 and "cannot be resolved" in tried.stderr, tried.stderr


def test_run_gets_the_answers_of_a_file(dfc: Run, project: Path) -> None:
    (project / "mock.json").write_text('[{"url": "https://name.invalid/*", "json": {"word": "mocked"}}]')
    (project / "mocked.dfsql").write_text(
        "SELECT df.start(df.http('https://name.invalid/a', 'GET') |=> 'a' ~> 'SELECT $a.body', 'mocked');"
    )
    mocked = ("run", "mocked.dfsql", "--http-mock", "mock.json")
    answer = dfc(*mocked, cwd=project)
    assert answer.returncode == 0 and '"word": "mocked"' in answer.stdout, (answer.stdout, answer.stderr)
    (project / "mock.json").write_text('[{"url": "https://other.invalid/*"}]')
    answer = dfc(*mocked, cwd=project)
    assert answer.returncode == 1 and "has no answer for GET https://name.invalid/a" in answer.stderr
    assert 'Add {"method": "GET", "url": "https://name.invalid/a*", "json": {}} to it.' in answer.stderr
    answer = dfc(*mocked, "--database", "postgresql://localhost/shop", cwd=project)
    assert (answer.returncode, answer.stderr) == (
        1,
        "dfc: with --database the answers belong to `dfc worker --http-mock`\n",
    )


def test_a_pending_cancel_is_shown_as_df_status_says_it(dfc: Run, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for label in ("kept", "stopped"):
            connection.execute("SELECT df.start('SELECT 1', %s)", [label])
        connection.execute("SELECT df.cancel(id) FROM df.instances WHERE label = 'stopped'")

    def labels(*options: str) -> dict[str, str]:
        listed = json.loads(dfc("list", "--json", "--database", database, *options).stdout)
        return {each["label"]: each["status"] for each in listed}

    assert labels() == {"kept": "pending", "stopped": "cancelled"}
    assert labels("--status", "pending") == {"kept": "pending"}
    assert labels("--status", "cancelled") == {"stopped": "cancelled"}
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT id FROM df.instances WHERE label = 'stopped'").fetchone()
    assert row is not None
    assert json.loads(dfc("show", row[0], "--json", "--database", database).stdout)["status"] == "cancelled"
