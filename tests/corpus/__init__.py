"""Statement forms of PostgreSQL's documentation that may stand in a step, by topic.

A statement is a paragraph of a `.sql` file. Each runs alone against `schema.sql`, in a transaction that is
rolled back. Behind `--!` stands the SQLSTATE with which a server refuses it there: because it cannot
be in a transaction, or needs what is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
SCHEMA = FOLDER / "schema.sql"
_REFUSED = "--! "


@dataclass(frozen=True, slots=True)
class CorpusStatement:
    """One statement. `sqlstate`: how a server refuses it here, None when it does not."""

    topic: str
    sql: str
    sqlstate: str | None

    def __repr__(self) -> str:
        return f"{self.topic}: {self.sql[:60]}"

    @property
    def workflow(self) -> str:
        """The statement as the step of a workflow."""
        return f"df.step('corpus', df.sql($dfc${self.sql}$dfc$));\n"


@cache
def statements() -> tuple[CorpusStatement, ...]:
    """All of them, in the order of the files."""
    found: list[CorpusStatement] = []
    for path in sorted(FOLDER.glob("*.sql")):
        if path == SCHEMA:
            continue
        for paragraph in path.read_text(encoding="utf-8").strip().split("\n\n"):
            head, _, rest = paragraph.partition("\n")
            refused = head.startswith(_REFUSED)
            state = head.removeprefix(_REFUSED) if refused else None
            found.append(CorpusStatement(path.stem, rest if refused else paragraph, state))
    return tuple(found)
