"""The examples of docs/from-pg_durable.md run as they stand; those of the reference: tests/e2e."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.harness import WorkerProcess
from tests.sql.worker import connect

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def examples(page: Path, heading: str) -> list[str]:
    """The statements of a section of a page."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    blocks = re.findall(r"```sql\n(.*?)```", rest.partition("\n## ")[0], re.DOTALL)
    return [statement.strip() for block in blocks for statement in block.split(";\n") if statement.strip()]


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
