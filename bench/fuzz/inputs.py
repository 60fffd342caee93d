"""Texts by a grammar of pieces, and files that others wrote, damaged. The same number gives the same input."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from bench.fuzz.shapes import SHAPES
from tests.corpus import statements

ROOT = Path(__file__).parent.parent.parent
SHAPE_CHARACTERS_MAX = 3_000
_DEPTH_MAX = 6

_WORDS = [
    "SELECT",
    "FROM",
    "WHERE",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "WITH",
    "AS",
    "JOIN",
    "ON",
    "t",
    "a",
    "1",
    "'x'",
    "''y''",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    ".",
    "::",
    "*",
    "+",
    "=",
    "$a",
    "$a.b",
    "$a.*",
    "$a?",
    "$input.x",
    "$item",
    "$error.message",
    "$$",
    "$1",
    "{v}",
    "E'",
    "U&'",
    '"',
    "--",
    "/*",
    "*/",
    "\n",
    "\t",
    "\r",
    "\x00",
    "\\d",
    "\u2028",
    "é",
    "😀",
    "\ufeff",
    "df.http(",
    "df.sql",
    "df",
    ".",
    "step",
    "=>",
    ":=",
    "~>",
    "|=>",
    "&",
    "|",
    "?>",
    "!>",
    "@>",
    "||",
    "COPY",
    "STDIN",
    "VACUUM",
    "CREATE",
    "FUNCTION",
    "BEGIN",
    "ATOMIC",
    "END",
    "NULL",
    "true",
    "ARRAY[",
    "interval",
    "json",
    "CASE",
    "WHEN",
    "DO",
    "CALL",
    "COMMIT",
    "ROLE",
    "GROUP",
    "BY",
    "ORDER",
    "LIMIT",
    "UNION",
    "0x",
    "1e",
    "1_",
    ".5",
    "OPERATOR(",
    "UESCAPE",
    "VARIADIC",
    "\x1b",
    "\x7f",
]
_STATEMENTS = (
    "SELECT 1",
    "SELECT $a.b, $c?",
    "UPDATE t SET a = $a WHERE id = 1",
    "INSERT INTO t SELECT * FROM $a.*",
    "VACUUM $a",
    "DO $q$ BEGIN END $q$",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "SELECT df.http('http://x', 'GET') FROM t",
    "SELECT interval ''$a days'', '{v}'",
    "CREATE TABLE x AS SELECT $a",
    "$a",
    "$a.b?",
    "vacuum",
    "",
)
_CALLS = (
    *("step('a', #)", "step('b', #)", "seq(#, #)", "join(#, #, #)", "race(#, #)", "parallel(#, #)", "as(#, 'c')"),
    *("if(#, #, #)", "if_rows('a', #)", "loop(#, #)", "loop(#)", "break('x')", "break()", "map(#, #)"),
    *("map('$a', #, name => 'row', batch_size => 5)", "sleep(5)", "sleep('$a.b days')", "wait_until('tomorrow')"),
    *("wait_for_schedule('* * * * *')", "wait_for_signal('s', 60)", "wait_for(#, every => '1 s')"),
    *("http('https://x/$a', 'POST', '{\"a\": $a}')", "atomic(#)", "call('w', '{\"x\": \"$a\"}')", "retry(#, 3)"),
    *("timeout(#, '1 h', #)", "try(#, #, #)", "compensate(#, #)", "sql(#, max_attempts => 3)", "stepp('a', #)"),
    *("wait_for_instance('$a')", "http_multipart('https://x', parts => '[]')", "seq(VARIADIC ARRAY[#, #])"),
)  # fmt: skip
_OPERATORS = ("~>", "|=>", "&", "|", "?>", "!>", "||", "~> @>", "|=> 'n' ~>")
_SUBMISSIONS = (
    "SELECT df.start(#, 'label', input => '{}');",
    "SELECT df.define('w', #, params => '{\"x\": \"int\"}');",
    "SELECT df.schedule('s', '0 3 * * *', #);",
    "SELECT df.start(#) AS id;",
    "#;",
    "#;",
    "#",
    "CREATE TABLE t (a int); #;",
    "-- dfc: disable=DF201 x\n#;",
)


def text_of(number: int) -> bytes:
    """The input with this number."""
    chance = random.Random(number)
    match number % 4:
        case 0:
            return _soup(chance).encode("utf-8", "surrogatepass")
        case 1:
            return _grammatical(chance).encode("utf-8", "surrogatepass")
        case 2:
            return _damaged(chance, _grammatical(chance).encode("utf-8", "surrogatepass"))
        case _:
            return _damaged(chance, chance.choice(_files()))


def _soup(chance: random.Random) -> str:
    if chance.random() < 0.1:
        make = chance.choice(list(SHAPES.values()))
        return make(chance.randint(1, SHAPE_CHARACTERS_MAX))
    words = chance.choices(_WORDS, k=chance.randint(1, 40))
    joined = chance.choice((" ", "")).join(words)
    return chance.choice(
        (joined, f"'{joined}'", f"df.step('a', $z${joined}$z$);", f"SELECT df.start({joined});")
    )


def _grammatical(chance: random.Random) -> str:
    count = chance.randint(1, 3)
    return "\n".join(chance.choice(_SUBMISSIONS).replace("#", _expression(chance, 0)) for _ in range(count))


def _expression(chance: random.Random, depth: int) -> str:
    drawn = chance.random() if depth < _DEPTH_MAX else 1.0
    if drawn < 0.35:
        left, right = _expression(chance, depth + 1), _expression(chance, depth + 1)
        joined = f"{left} {chance.choice(_OPERATORS)} {right}"
        return f"({joined})" if chance.random() < 0.5 else joined
    if drawn < 0.65:
        parts = chance.choice(_CALLS).split("#")
        filled = [part + _expression(chance, depth + 1) for part in parts[:-1]]
        return "df." + "".join(filled) + parts[-1]
    sql = chance.choice(_STATEMENTS)
    if chance.random() < 0.2:
        sql = chance.choice(statements()).sql
    return f"$z${sql}$z$" if "'" in sql or chance.random() < 0.3 else f"'{sql}'"


@cache
def _files() -> list[bytes]:
    """The workflows of the repository, valid and not, and its schemas."""
    workflows = sorted((ROOT / "golden").rglob("*.dfsql"))
    return [path.read_bytes() for path in (*workflows, *sorted((ROOT / "tests").rglob("schema.sql")))]


_INSERTED = (
    b"'",
    b'"',
    b"$",
    b"$$",
    b"(",
    b")",
    b"[",
    b"/*",
    b"*/",
    b"--",
    b"\n",
    b"\r",
    b"\0",
    b"\\",
    b"~>",
    b",",
)
_MORE = (
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"{a}",
    b"$a.*",
    b"::",
    b"E'",
    b";",
    b"\x1b[31m",
)


def _damaged(chance: random.Random, data: bytes) -> bytes:
    """With some bytes changed, dropped, doubled or moved; now and then in another encoding."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(damaged) + 1)
        to = min(len(damaged), at + chance.randint(1, 30))
        match chance.randrange(7):
            case 0:
                damaged[at:at] = chance.choice(_INSERTED + _MORE)
            case 1:
                del damaged[at:to]
            case 2:
                damaged[at:at] = damaged[at:to] * chance.randint(1, 20)
            case 3 if at < len(damaged):
                damaged[at] = chance.randrange(256)
            case 4:
                moved = damaged[at:to]
                del damaged[at:to]
                back = chance.randrange(len(damaged) + 1)
                damaged[back:back] = moved
            case 5 if at < len(damaged):
                damaged[at] ^= 1 << chance.randrange(8)
            case _:
                del damaged[at:]
    result = bytes(damaged)
    if chance.random() < 0.03:
        encoding = chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1"))
        return result.decode(errors="replace").encode(encoding, "replace")
    return result
