"""Examples of the documents are run as they stand: looking at instances, what runs unmodified."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.harness import WorkerProcess
from tests.sql.worker import connect, value

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
REFERENCE = DOCS / "reference.md"


def examples(page: Path, heading: str) -> list[str]:
    """The statements of a section of a page."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    blocks = re.findall(r"```sql\n(.*?)```", rest.partition("\n## ")[0], re.DOTALL)
    return [statement.strip() for block in blocks for statement in block.split(";\n") if statement.strip()]


def test_looking_at_instances(database: str) -> None:
    statements = examples(REFERENCE, "Looking at instances")
    assert len(statements) >= 12
    with WorkerProcess(database), connect(database) as session:
        for statement in statements:
            assert session.execute(statement.encode()).rowcount > 0 or "after_cursor" in statement
        drawn = str(value(session, "SELECT df.explain(id) FROM df.instances WHERE label = 'report'"))
        assert [line.rstrip() for line in drawn.split("\n")][1:] == [
            line[4:] for line in _shown().split("\n")[1:]
        ]
        assert value(session, "SELECT count(*) FROM df.instances") == 1


def _shown() -> str:
    """The drawing that the reference shows."""
    found = re.search(r"(    Instance: .*?)\n\n\|", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_what_runs_unmodified(database: str) -> None:
    with WorkerProcess(database), connect(database) as session:
        results = {}
        for statement in examples(DOCS / "from-pg_durable.md", "What runs unmodified"):
            rows = session.execute(statement.encode()).fetchall()
            assert rows
            if "await_instance" in statement:
                results = {row[0]: row[1:] for row in rows}
        assert results == {
            "first": (
                "completed",
                '[{"rows": [{"a": 42}], "row_count": 1}, {"rows": [{"b": 2}], "row_count": 1}]',
            ),
            "second": ("completed", '"done"'),
            "third": ("completed", '{"rows": [{"x": 7}], "row_count": 1}'),
        }


def test_starting_definitions_and_schedules(database: str) -> None:
    with WorkerProcess(database), connect(database) as session:
        for heading in ("Starting", "Definitions", "Schedules"):
            statements = examples(REFERENCE, heading)
            assert len(statements) >= 3
            for statement in statements:
                assert session.execute(statement.encode()).rowcount == 1, statement
        end = "SELECT df.await_instance(id), df.result(id) FROM df.instances WHERE label = 'nightly'"
        row = session.execute(end.encode()).fetchone()
        assert row == ("completed", '{"rows": [{"counted": 7}], "row_count": 1}')


def test_waiting(database: str) -> None:
    statements = examples(REFERENCE, "Waiting")
    assert len(statements) >= 11
    with WorkerProcess(database), connect(database) as session:
        for statement in statements:
            session.execute(statement.encode())
        for (id,) in session.execute("SELECT id FROM df.instances").fetchall():
            assert value(session, "SELECT df.await_instance(%s, 60)", id) == "completed"
        assert value(session, "SELECT count(*) FROM df.instances WHERE status <> 'completed'") == 0
        assert value(
            session, "SELECT result #>> '{rows,0,data}' FROM df.instances WHERE label = 'order 7'"
        ) == ('{"by": "Ann"}')
