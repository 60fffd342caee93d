"""What is said of a describer's answer about a statement: a problem, what cannot be known, or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dfc.compiler import plan_describe as given
from dfc.compiler.plan_describe import NOT_ANALYSED, Answer, Refused, Unsaid, code_of
from dfc.compiler.plan_made import Made

_QUOTED: Final = re.compile(r'"([^"]+)"')
_VARIABLE: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")

_HELP: Final = {
    given.UNKNOWN_TABLE: "write the name of a table that is there, or create it in front of the workflow",
    given.UNKNOWN_COLUMN: "write the name of a column that is there",
    given.UNKNOWN_FUNCTION: "write the name of a function that is there, with arguments of its types",
    given.WRONG_TYPES: "cast one side to the type of the other: `$step.col::text`",
    given.REFUSED: "correct the statement",
}
_HELP_OF: Final = (
    ("INSERT has more target columns", "give a value for each column, or take columns out"),
    ("INSERT has more expressions", "take values out, or name their columns"),
    ("VALUES lists must all", "write as many values in each row"),
    ("must have the same number of columns", "select as many columns in each part"),
    ("subquery must return only one column", "select one column there"),
    ("subquery has too", "select as many columns there as are compared"),
    ("number of columns does not match", "give as many values as there are columns"),
    ("specified more than once", "take one of them out, or give it another name"),
    ("multiple assignments", "take one of them out"),
    ("cannot cast type", "there is no such cast: compute what is meant, or cast to `text` in between"),
    ("must be type boolean", "compare it with something: `... > 0`, `... IS NOT NULL`"),
    ("cannot be matched", "cast all of them to one type, for example `...::text`"),
    ("invalid input", "write a value that this type can be read from"),
    ("out of range", "write a value that this type can be read from"),
    ("malformed array literal", "write `'{...}'` or `ARRAY[...]`"),
    ("but expression is of type", "cast the expression, or give another one"),
    ("requires array on right side", "compare with the value itself, or write `ARRAY[...]`"),
    ("must appear in the GROUP BY", "add it to GROUP BY, or aggregate it"),
    ("are not allowed in WHERE", "write the condition in HAVING, or around a sub-query that computes it"),
    ("is not allowed with", "lock the rows in a sub-query of their own"),
    ("is not in select list", "write a number of a column that is selected, or its name"),
    ("is a procedure", "run it by a step of its own: `CALL ...`"),
    ("is not a procedure", "call it in a query: `SELECT ...`"),
    ("cannot insert a non-DEFAULT value", "leave the column out"),
    ("can only be updated to DEFAULT", "leave the column out"),
    ("is ambiguous", "write the name of its table in front of it"),
    ("columns available but", "name no more columns than there are"),
    ("collation ", "write a collation that `pg_collation` has on this server"),
)
"""What to do, by words of PostgreSQL's message, where nothing says more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with the statement of a node, or not known of it.

    `start` and `end` are offsets in the statement (or the lone reference) of the node, None: all of it.
    `severity` is `error`, `warning` or `note`. `notes` are sentences, with the node that they speak of.
    """

    code: str
    severity: str
    node: str
    message: str
    start: int | None = None
    end: int | None = None
    label: str = ""
    help: str = ""
    notes: tuple[tuple[str, str | None], ...] = ()


def problem_of(
    node: str, sql: str, answer: Answer, made: Made, certain: frozenset[str] = frozenset()
) -> Problem | None:
    """What a describer's answer is to be called, where it is one to be told of.

    What a statement beside this one makes is not unknown, but for the names that are `certain`: these are
    there, where the describer has made them.
    """
    match answer:
        case Refused() if why := _excused(sql, answer, made, certain if answer.with_made else frozenset()):
            return unsaid(node, why, answer.start, answer.end)
        case Refused(sqlstate=state) if state.startswith("22") and _VARIABLE.search(_literal(answer, sql)):
            why = "it depends on the variables of whoever starts the workflow"
            return unsaid(node, why, answer.start, answer.end)
        case Refused():
            said = next((help for words, help in _HELP_OF if words in answer.message), None)
            help = answer.help or answer.hint or said or _HELP[code_of(answer)]
            notes = [text for text in (answer.detail, answer.hint) if text and text != help]
            return Problem(
                code=code_of(answer),
                severity="error",
                node=node,
                message=f"{answer.message} (SQLSTATE {answer.sqlstate})",
                start=answer.start,
                end=answer.end,
                label="PostgreSQL refuses this",
                help=help,
                notes=tuple([(text, None) for text in notes]),
            )
        case Unsaid():
            return unsaid(node, answer.why, answer.start, answer.end)
        case _:
            return None


def _excused(sql: str, answer: Refused, made: Made, certain: frozenset[str]) -> str:
    """Why a refusal says nothing: what is refused now may be right when it runs. Empty where it is not."""
    state, message = answer.sqlstate, answer.message
    name = answer.name
    if name is None and state in given.OF_NAMES and (quoted := _QUOTED.search(message)):
        name = quoted[1]
    if name is not None and made.knows(name, sql):
        return f"`{name}` is not there yet: a statement beside it makes it"
    if state in given.OF_NAMES and made.is_dynamic(answer.makers):
        return f"{message}: a statement beside it may make it, under a name that only a run knows"
    if state in ("42883", "42704") and made.is_open:
        return f"{message}: an extension may have it"
    if state in ("42P01", "3F000") and made.tables_open:
        return f"{message}: an extension or a foreign schema may have it"
    if code_of(answer) != given.UNKNOWN_TABLE and made.changes(sql, certain):
        return "another step changes a table or type that it uses"
    if made.operators and state == "42883" and message.startswith("operator "):
        return f"{message}: a statement beside it makes operators"
    if made.casts and state in ("42846", "42804", "42883"):
        return f"{message}: a statement beside it makes a cast"
    if made.labels and message.startswith("invalid input value for enum"):
        return f"{message}: a statement beside it adds to an enum"
    return ""


def _literal(refused: Refused, sql: str) -> str:
    """What cannot be read as a value."""
    return refused.message if refused.start is None else sql[refused.start : refused.end]


def unsaid(node: str, why: str, start: int | None, end: int | None) -> Problem:
    """The note that something cannot be known, and why."""
    message = f"not analysed: {why}"
    return Problem(code=NOT_ANALYSED, severity="note", node=node, message=message, start=start, end=end)
