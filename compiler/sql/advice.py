"""What to do about a statement that PostgreSQL's parser refuses: the help lines of DF120."""

from __future__ import annotations

from difflib import get_close_matches

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


def correction(items: list[Token], token: Token, written: str) -> str:
    """What to do about a token (`written` in the source) that PostgreSQL's grammar refuses."""
    if token is items[0]:
        near = get_close_matches(written.upper(), _COMMANDS, n=1, cutoff=0.7)
        return (
            f"did you mean `{near[0]}`?" if near else "begin the step with an SQL command, for example SELECT"
        )
    if written in (")", "]"):
        return f"remove this `{written}`, or write what belongs in front of it"
    if written == "{":
        return "set the variable with `df.setvar` before the workflow starts, or write the value itself"
    change = f"correct `{written[:40]}` or what stands in front of it"
    return f"{change}, or write what is missing behind it" if token is items[-1] else change
