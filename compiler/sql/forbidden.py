"""What is no step though it may be SQL: what cannot be read, or has no place in a step."""

from __future__ import annotations

from collections.abc import Mapping

from dfc.compiler.sql import commands
from dfc.compiler.sql.commands import Shape
from dfc.compiler.sql.references import Place
from dfc.compiler.sql.tokens import Token, closing, identifier
from dfc.compiler.sql.verdict import Refusal, refusal, verdict
from dfc.grammar.lexer import Kind, Lexeme

STEP_SQL_BYTES_MAX = 1_000_000
"""The longest statement of a step, in bytes of UTF-8."""
PROBLEMS_MAX = 20
"""How often one statement is told the same."""


def unreadable(value: str) -> Refusal | None:
    """What keeps a text from being scanned at all: its size, or characters that PostgreSQL cannot store."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError as fault:
        return refusal(
            "DF129", "half of a surrogate pair is no character", fault.start, fault.start + 1, "remove it"
        )
    if size > STEP_SQL_BYTES_MAX:
        return refusal(
            "DF515",
            f"the statement has {size} bytes, more than `step_sql_bytes_max` ({STEP_SQL_BYTES_MAX})",
            0,
            len(value),
            "load the data into a table and refer to it",
        )
    nul = value.find("\0")
    if nul != -1:
        return refusal("DF129", "the statement contains a NUL character", nul, nul + 1, "remove it")
    return None


def refusals(
    sql: str, items: list[Token], comments: list[Lexeme], shape: Shape, where: Mapping[int, Place]
) -> list[Refusal]:
    """All that is wrong with a statement that can be read."""
    for token in items:
        if token.kind is Kind.BACKSLASH:
            return [
                refusal(
                    "DF127",
                    "a step holds SQL only, and psql's commands are none",
                    token.start,
                    token.end,
                    "write the command in SQL",
                )
            ]
        if token.kind is Kind.UNTERMINATED_COMMENT:
            return [refusal("DF120", "the comment is not closed", token.start, token.start + 2, "add `*/`")]
    problems = _parameters(items, shape)
    used = [token for token in items if token.kind is Kind.REFERENCE][:PROBLEMS_MAX]
    if used and shape.kind in commands.SUBROUTINES:
        return problems + [
            refusal(
                "DF121",
                f"nothing is replaced in the body of {shape.kind.upper()}",
                token.start,
                token.end,
                "pass it as an argument",
            )
            for token in used
        ]
    illegal = verdict(sql, items, comments, where)
    if illegal is not None:
        return [*problems, illegal]
    wrong = _forbidden(sql, items, shape)
    return problems if wrong is None else [*problems, wrong]


def _parameters(items: list[Token], shape: Shape) -> list[Refusal]:
    if shape.kind in commands.SUBROUTINES or shape.kind == "prepare":
        return []
    return [
        refusal(
            "DF128",
            "a positional parameter has no value in a step",
            token.start,
            token.end,
            "refer to an earlier step by its name: `$name`",
        )
        for token in [token for token in items if token.kind is Kind.PARAM][:PROBLEMS_MAX]
    ]


_TRANSACTION = frozenset(
    {
        "begin",
        "start transaction",
        "commit",
        "rollback",
        "savepoint",
        "release",
        "prepare transaction",
        "commit prepared",
        "rollback prepared",
    }
)
_ROLE_SETTINGS = frozenset({"role", "session_authorization"})


def _forbidden(sql: str, items: list[Token], shape: Shape) -> Refusal | None:
    """Legal SQL that has no place in a step."""
    words = [identifier(sql, token) or token.word for token in items[:4]]
    end = items[-1].end
    kind = shape.kind
    if words[0] in ("set", "reset"):
        rest = words[1:]
        if rest[:1] in (["local"], ["session"]) and rest[1:2] not in (["authorization"], ["="], ["to"]):
            rest = rest[1:]
        named = rest[0] if rest else ""
        if named in _ROLE_SETTINGS or rest[:2] == ["session", "authorization"]:
            return refusal(
                "DF125", "a step runs as the role that submitted it", 0, end, "remove the statement"
            )
        if named == "transaction" and words[0] == "set" and rest[1:2] not in (["="], ["to"]):
            kind = "begin"
    called = _role_by_function(sql, items)
    if called is not None:
        start, finish = called
        help = "start the workflow as that role, or call a function that is `SECURITY DEFINER`"
        return refusal("DF125", "a step runs as the role that submitted it", start, finish, help)
    if kind in _TRANSACTION:
        return refusal(
            "DF124",
            "a step runs in a transaction of its own, and cannot control it",
            0,
            end,
            "remove the statement: each step commits by itself",
        )
    if kind == "copy":
        for index, token in enumerate(items):
            if (
                token.depth == 0
                and token.word in ("stdin", "stdout")
                and items[index - 1].word in ("from", "to")
            ):
                return refusal(
                    "DF126",
                    "a step has no client that could send or receive the data of COPY",
                    token.start,
                    token.end,
                    "use INSERT, or a file of the server",
                )
    return None


def _role_by_function(sql: str, items: list[Token]) -> tuple[int, int] | None:
    """Where `set_config('role', ..., false)` stands, which does what SET ROLE does.

    Until the end of the transaction another role does no harm: row security is used like that.
    """
    for index, token in enumerate(items[:-2]):
        if identifier(sql, token) != "set_config" or items[index + 1].word != "(":
            continue
        setting = items[index + 2]
        if items[min(closing(items, index + 1), len(items)) - 1].word != "false":
            continue
        if setting.kind is Kind.STRING and sql[setting.start + 1 : setting.end - 1].lower() in _ROLE_SETTINGS:
            return token.start, setting.end
    return None


_CALLING = commands.QUERIES | {
    "create table as",
    "create materialized view",
    "explain",
    "copy",
    "call",
    "execute",
    "declare cursor",
}


def requests_inside(
    items: list[Token], shape: Shape, calls: list[int], http: tuple[range, bool] | None
) -> list[Refusal]:
    """Calls of `df.http` that are not the whole select list."""
    if shape.kind not in _CALLING:
        return []
    allowed = http[0].start if http is not None else -1
    return [
        refusal(
            "DF131",
            "`df.http` is not the whole select list of the step",
            items[index].start,
            items[min(closing(items, index + 3), len(items) - 1)].end,
            "make the request a step of its own: `SELECT df.http(...)`, and refer to its result by name",
        )
        for index in [index for index in calls if index != allowed][:PROBLEMS_MAX]
    ]
