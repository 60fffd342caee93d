"""What to do about a statement that PostgreSQL's parser refuses: the help lines of DF120."""

from __future__ import annotations

from dfc.compiler.nearness import Near, near
from dfc.compiler.sql.tokens import Token

LEXICAL = {
    "unterminated quoted string": "add the missing `'`",
    "unterminated quoted identifier": 'add the missing `"`',
    "unterminated dollar-quoted string": "end the string with the tag that begins it",
    "unterminated bit string literal": "add the missing `'`",
    "unterminated hexadecimal string literal": "add the missing `'`",
    "unterminated /* comment": "add `*/`",
    "zero-length delimited identifier": 'write a name between the `"`',
    "trailing junk after numeric literal": "write a blank behind the number",
    "trailing junk after parameter": "write a blank behind the parameter",
}
"""By the message of PostgreSQL's lexer."""

_COMMANDS = (
    *("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE", "CREATE", "ALTER", "DROP"),
    *(
        "TRUNCATE",
        "CALL",
        "DO",
        "VACUUM",
        "ANALYZE",
        "COPY",
        "GRANT",
        "REVOKE",
        "REFRESH",
        "REINDEX",
        "CLUSTER",
    ),
    *("COMMENT", "EXPLAIN", "LOCK", "NOTIFY", "SET", "RESET", "SHOW"),
)


def command_near(items: list[Token], token: Token, written: str) -> Near | None:
    """The command that the first word of a statement is like, written as that is."""
    found = near(written.upper(), _COMMANDS, cutoff=0.7) if token is items[0] else None
    return Near(word=found.word.lower(), sure=found.sure) if found and written.islower() else found


def correction(items: list[Token], token: Token, written: str) -> str:
    """What to do about a token (`written` in the source) that PostgreSQL's grammar refuses."""
    if token is items[0]:
        found = near(written.upper(), _COMMANDS, cutoff=0.7)
        if found:
            return f"did you mean `{found.word}`?"
        return "begin the step with an SQL command, for example SELECT"
    if written in (")", "]"):
        return f"remove this `{written}`, or write what belongs in front of it"
    if written == "{":
        return "set the variable with `df.setvar` before the workflow starts, or write the value itself"
    change = f"correct `{written[:40]}` or what stands in front of it"
    return f"{change}, or write what is missing behind it" if token is items[-1] else change
