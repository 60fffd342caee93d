"""docs/reference/ is true: its examples run and give what they show, and nothing is missing from it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest

from dfc.cli.app import COMMANDS
from dfc.compiler.driver import CompiledStatement, compile_file
from dfc.compiler.rules.df512_steps import STEPS_MAX
from dfc.compiler.source import Source
from dfc.compiler.sql import STEP_SQL_BYTES_MAX
from dfc.compiler.statements import NESTING_LEVELS_MAX
from dfc.executor import limits
from dfc.executor.markers import install_markers
from tests.e2e import functions, reference
from tests.e2e.harness import Connection, WorkerProcess, connected
from tests.e2e.reference import DOCS, FOLDER, PAGES, Example, Statement, examples, is_as_said
from tests.executor.http_site import serving
from tests.postgres import Server

SECONDS_MAX = 30
RUN = ("sql", "dfsql")
WITHOUT_GOLDEN = {"DF129", "DF157", "DF158", "DF512", "DF513", "DF515", "DF516", "DF590"} | {
    "DF401", "DF402", "DF403", "DF404", "DF405", "DF410"
}  # fmt: skip
"""What a file may say, and no case of golden/err can: no text, too much text, no compiler, with a schema."""
SHOWN = frozenset({"text", "sh", "psql", "yaml"})
"""Languages of blocks that are not run."""
OTHER = (
    "CREATE TABLE orders (id int, total numeric, done boolean);"
    " INSERT INTO orders VALUES (1, 10.50), (2, 31.50); CREATE TABLE log (at timestamptz)"
)
"""What stands in the database `shop` of the examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A session with a worker behind it, and where `https://api.example` is."""

    session: Connection
    site: str


@pytest.fixture(scope="module")
def bed(server: Server, shared_database: str) -> Iterator[Bed]:
    with connected(server.url()) as session:
        session.execute("CREATE DATABASE shop TEMPLATE template0 STRATEGY FILE_COPY")
    install_markers(server.url("shop"))
    with connected(server.url("shop")) as shop:
        shop.execute(OTHER)
    with serving() as site:
        site.reply = _echo
        arguments = ["--allow-host", f"127.0.0.1:{site.port}"]
        with WorkerProcess(shared_database, arguments), connected(shared_database) as session:
            yield Bed(session=session, site=site.url("").rstrip("/"))
    with connected(server.url()) as session:
        session.execute("DROP DATABASE shop WITH (FORCE)")


def _echo(handler: Any, _: bytes) -> None:
    body = f"{handler.command} {handler.path}".encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_examples(page: Path, bed: Bed) -> None:
    session = bed.session
    session.execute(f'CREATE SCHEMA "{page.stem}"'.encode())
    session.execute(f'SET search_path = "{page.stem}", public'.encode())
    faults: list[str] = []
    for example in examples(page):
        assert example.language in {*RUN, *SHOWN}, f"{page.name}:{example.line}: {example.language}"
        if example.language in RUN:
            faults += [f"{page.name}:{example.line}: {fault}" for fault in _run(bed, example)]
    assert not faults, "\n\n".join(faults)


def _run(bed: Bed, example: Example) -> list[str]:
    """Run a block. What it starts is awaited at its end, so that later statements may have a say in it."""
    started: list[tuple[Statement, str]] = []
    faults: list[str] = []
    for statement in example.statements():
        given = _execute(bed, statement)
        if statement.starts and not given.startswith("ERROR: ") and "\n" not in given:
            started.append((statement, given))
        elif (given.startswith("ERROR: ") and not statement.said) or (
            statement.said and not is_as_said(given, statement.said)
        ):
            faults.append(f"{statement.text}\ngives {given}")
    for statement, id in started:
        given = _ending(bed.session, id)
        said = statement.said or ["..."]
        if not is_as_said(given, said) or (said == ["..."] and given.startswith("failed")):
            faults.append(f"{statement.text}\ngives {given}")
    return faults


def _execute(bed: Bed, statement: Statement) -> str:
    """What a statement gives, as the comments of examples say it."""
    sql = statement.sql.replace("https://api.example", bed.site)
    try:
        cursor = bed.session.execute(sql.encode())
    except psycopg.Error as error:
        return f"ERROR: {error.diag.message_primary}"
    found = cursor.pgresult
    assert found is not None
    rows = [
        [(found.get_value(row, column) or b"").decode() for column in range(found.nfields)]
        for row in range(found.ntuples)
    ]
    return "\n".join(" | ".join(row) for row in rows)


def _ending(session: Connection, id: str) -> str:
    """How an instance ends: its result, or its status and the message of its error."""
    try:
        session.execute("CALL df.await(%s, %s)", [id, SECONDS_MAX])
    except psycopg.Error as error:
        return f"failed: {error.diag.message_primary}"
    row = session.execute(
        "SELECT status, result::text, coalesce(error ->> 'message', error ->> 'reason')"
        " FROM df.instances WHERE id = %s",
        [id],
    ).fetchone()
    assert row is not None
    status, result, message = row
    return str(result) if status == "completed" else f"{status}: {message}"


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_examples_are_files_too(page: Path) -> None:
    """What a session takes, a file takes: only what is said to fail has errors."""
    for example in examples(page):
        if example.language not in RUN or re.search(
            r"^-- (=> (ERROR|failed): |In a session)", example.text, re.M
        ):
            continue
        problems = compile_file(Source(page.name, example.text)).problems
        errors = [problem.message for problem in problems if problem.severity == "error"]
        assert not errors, f"{page.name}:{example.line}: {errors}"


def test_every_function_is_in_the_reference(bed: Bed) -> None:
    assert set(reference.documented()) == set(reference.signatures(bed.session))


def test_signatures_are_shown_as_they_are(bed: Bed) -> None:
    assert reference.shown_signatures() == reference.signatures(bed.session)


def test_every_function_has_an_example() -> None:
    missing: list[str] = []
    for page in PAGES:
        for section in re.split(r"^##+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            heading, _, text = section.partition("\n")
            blocks = "".join(re.findall(r"```(?:df)?sql\n(.*?)```", text, re.DOTALL))
            missing += [name for name in re.findall(r"df\.\w+(?=,|$)", heading) if name + "(" not in blocks]
    assert missing == []


def test_every_function_is_called_by_a_test() -> None:
    """`python -m tests.e2e.functions` writes the page anew."""
    stubs = DOCS.parent / "sql" / "functions" / "later.sql"
    later = stubs.read_text(encoding="utf-8") if stubs.exists() else ""
    for name, (page, caller) in functions.rows().items():
        if f"df.{name}(" in later:
            continue
        assert caller is not None, f"no test calls df.{name}"
        row = re.search(
            rf"^\| \[df\.{name}\]\((.*?)#.*?\) \| \w.* \| `(.*)` \|$", functions.page(), re.MULTILINE
        )
        assert row is not None, f"df.{name} has no row"
        assert row[1] == page.name
        assert f"df.{name}(" in (DOCS.parent / row[2]).read_text(encoding="utf-8")


def test_every_operator_is_in_the_reference(bed: Bed) -> None:
    found = bed.session.execute(
        "SELECT o.oprname::text FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode"
        " WHERE p.pronamespace = 'df'::regnamespace"
    )
    written = [
        operator
        for heading in reference.headings(FOLDER / "expressions.md")
        if heading.startswith("`")
        for operator in re.findall(r"[^\w\s`]+", heading)
    ]
    assert set(written) == {operator for (operator,) in found.fetchall()}


def test_every_command_and_option_is_in_the_reference() -> None:
    text = (FOLDER / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### dfc (\w+)\n(.*?)(?=^### |\Z)", text, re.DOTALL | re.MULTILINE))
    assert list(sections) == list(COMMANDS)
    for name, section in sections.items():
        command: click.Command = importlib.import_module(f"dfc.cli.{name}").command
        options = {
            next(option for option in each.opts if option.startswith("--"))
            for each in command.params
            if isinstance(each, click.Option)
        }
        rows = re.findall(r"^\| .*?`(--[\w-]+)`", section, re.MULTILINE)
        assert set(rows) == options, name


def test_every_code_is_in_the_table_of_checks() -> None:
    text = (FOLDER / "checks.md").read_text(encoding="utf-8")
    numbers = {int(code) for code in re.findall(r"DF(\d+)", text)}
    for first, last in re.findall(r"DF(\d+) to DF(\d+)", text):
        numbers |= set(range(int(first), int(last) + 1))
    pages = {int(page.stem[2:]) for page in (DOCS / "errors").glob("DF*.md")}
    assert pages - numbers == set(), "these have a page and no row"
    assert {n for n in re.findall(r"DF(\d+)", text) if int(n) not in pages} == set(), "these have no page"


def _precedence() -> list[tuple[str, str, str]]:
    text = (FOLDER / "expressions.md").read_text(encoding="utf-8").partition("## Precedence")[2]
    rows = re.findall(r"^\| `(.*?)` \| `(.*?)`(.*?) \| .*\|$", text.partition("\n## ")[0], re.MULTILINE)
    return [(_steps(written), _steps(grouped), rest) for written, grouped, rest in rows]


def _steps(shown: str) -> str:
    return re.sub(r"\b([A-E])\b", r"'SELECT ''\1'''", shown.replace("\\|", "|"))


@pytest.mark.parametrize(("written", "grouped", "rest"), _precedence())
def test_precedence(written: str, grouped: str, rest: str, bed: Bed) -> None:
    of_session = [_wire(bed.session, text) for text in (written, grouped)]
    of_file = [_file_wire(text) for text in (written, grouped)]
    assert of_session[0] == of_session[1]
    assert of_file[0] == of_file[1]
    assert of_session == of_file
    assert ("error" in rest) == (of_session[0] == "DF164")


def _wire(session: Connection, text: str) -> str:
    try:
        row = session.execute(f"SELECT {text}".encode()).fetchone()
    except psycopg.Error as error:
        return str(error.sqlstate)
    assert row is not None
    return str(row[0])


def _file_wire(text: str) -> str:
    compiled = compile_file(Source("precedence", f"SELECT df.start({text});"))
    codes = [problem.code for problem in compiled.problems if problem.severity == "error"]
    [statement] = compiled.statements
    assert isinstance(statement, CompiledStatement)
    return codes[0] if codes else str(statement.wire)


def test_what_the_table_of_precedence_has() -> None:
    assert len(_precedence()) >= 12


def test_links_lead_somewhere() -> None:
    for page in (*PAGES, DOCS / "reference.md"):
        for target in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text(encoding="utf-8")):
            file, _, anchor = target.partition("#")
            there = page if not file else page.parent / file
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in _anchors(there), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def _codes(text: str) -> set[str]:
    found = {f"DF{number}" for number in re.findall(r"DF(\d+)", text)}
    for first, last in re.findall(r"DF(\d+) to DF(\d+)", text):
        found |= {f"DF{number}" for number in range(int(first), int(last) + 1)}
    return found


def _column(number: int) -> set[str]:
    """The codes in a column of the table of checks; `the same` is what a file says."""
    found: set[str] = set()
    for line in (FOLDER / "checks.md").read_text(encoding="utf-8").splitlines():
        cells = line.replace("\\|", "").split("|")
        if len(cells) == 7:
            found |= _codes(cells[2 if cells[number].strip() == "the same" else number])
    return found


def test_the_file_says_what_the_table_says() -> None:
    golden = {folder.name.partition("_")[0].upper() for folder in (DOCS.parent / "golden" / "err").iterdir()}
    assert golden - _column(2) == set()
    assert _column(2) - golden == WITHOUT_GOLDEN


def test_the_session_says_what_the_table_says() -> None:
    functions = (DOCS.parent / "sql" / "functions").glob("*.sql")
    raised = {code for path in functions for code in re.findall(r"'(DF\d+)'", path.read_text("utf-8"))}
    assert raised - _column(3) == {"DF501"}  # when a step runs
    assert _column(3) - raised == set()


def test_the_limits_are_those_of_the_program(bed: Bed) -> None:
    text = (FOLDER / "results.md").read_text(encoding="utf-8").partition("## Limits")[2]
    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|", text, re.MULTILINE))
    operators, listed, size = bed.session.execute(
        "SELECT df._operators_max(), df._listed_instances_max(), df._expression_bytes_max()"
    ).fetchall()[0]
    mebi = 1024 * 1024
    for row, shown in (
        ("the result of a step", f"{limits.RESULT_ROWS_MAX:,} rows"),
        ("the body of a request, of a response", f"{limits.HTTP_BODY_BYTES_MAX // mebi} MiB"),
        ("the body of a request, of a response", f"step {limits.HTTP_RESPONSES_BYTES_MAX // mebi} MiB"),
        ("requests of one step under way", f"{limits.HTTP_REQUESTS_MAX}"),
        ("`timeout_seconds` of a request", f"{limits.HTTP_TIMEOUT_SECONDS_MAX:,}"),
        ("a `df.atomic`", f"{limits.ATOMIC_SECONDS_MAX:.0f} s"),
        ("a `df.atomic`", f"{limits.ATOMIC_IDLE_SECONDS_MAX:.0f} s between"),
        ("nesting", f"{NESTING_LEVELS_MAX} levels"),
        ("nodes of a workflow", f"{STEPS_MAX:,}"),
        ("a workflow's text", f"{size // mebi} MiB"),
        ("operators in one SQL expression, in a session", f"{operators:,} "),
        ("a statement of a step", f"{STEP_SQL_BYTES_MAX // 1_000_000} MB"),
        ("`df.list_instances`", f"{listed:,} rows"),
    ):
        assert shown in rows[row], row
