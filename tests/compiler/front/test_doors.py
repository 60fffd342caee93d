"""Random texts of expressions, in every form PostgreSQL has for them, through both doors: one plan.

The texts are written by hand-made rules, not printed from trees: comments and line breaks between all tokens,
all forms of literals, casts, named arguments, arrays, operators in a row; right ones and wrong ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfc.compiler.ast import ServerStatement
from dfc.compiler.driver import compile_file, compile_wire
from dfc.compiler.plan_json import canonical
from dfc.compiler.signatures import STEPS
from dfc.compiler.source import Source
from tests.depth import depth

Connection = psycopg.Connection[tuple[str]]

QUERIES = (
    *(
        "SELECT 1",
        "SELECT 1 ",
        "SELECT 'it''s'",
        "INSERT INTO t VALUES (1)",
        "SELECT $a.x",
        "SELECT * FROM $a.*",
    ),
    *(
        "SELECT \\ ",
        "SELECT 'é😀'",
        "checkpoint",
        "x y",
        "",
        "  ",
        "SELECT E'\\n'",
        "SELECT $$q$$",
        "$a",
        "größe",
    ),
    *(
        "SELECT\n1\t",
        "SELECT $b?",
        "a$b",
        '/*dfc:1:18*/{"sql":"SELECT 1"}',
        "SELECT 1;",
        "SELECT '\x01'",
        "İ",
        "ı",
    ),
    *(
        "select df.http('http://x')",
        "\ufeffSELECT 1",
        "\u00a0",
        "\u3000x",
        "DELETE FROM t",
        'SELECT 1 AS "a b"',
    ),
)
NAMES = ("a", "b", "c", "A1", "_x", "é", "input", "a b", "x" * 63, "x" * 64, "item", "select", "1a", "a$")
GAPS = ("", " ", "\n", " /* c /* n */ */ ", " -- c\n", "\t", " /*'*/ ", "\r\n", " --'\r")
URLS = ("http://x/é", "https://a?b=$c", "{u}", "ftp://x", "$a")
HEADERS = (
    """'{"B":"x","a":"\\u00e9"}'""",
    "jsonb_build_object('a','b'||'c')",
    "'{}'::jsonb",
    "NULL",
    """'{"a":1}'""",
    """jsonb '{"b": "x", "a": "y", "b":"z"}'""",
    "N'{}'",
)
SECONDS = ("1", "30", "0x1F", "1_000", "'7'", "-1", "1.5", "+5", "7::int", "2.5::int", "'5'::int", "- -5")


DURATIONS = (
    *(
        "5",
        "1.5",
        "0",
        "'5 s'",
        "'1 hour 30 min'",
        "'1:30:00'",
        "'P1DT2H'",
        "'2 mons -3 days'",
        "interval '1 day'",
    ),
    *(
        "'5 s'::interval",
        "CAST('90' AS interval)",
        "'1 min'::text",
        "-1",
        "'-5 s'",
        "'soon'",
        "'0.5 ms'",
        "NULL",
    ),
    *(
        "interval '2 weeks'::interval",
        "'1.5 years'",
        "2::numeric",
        "'7'",
        "'1 day 02:03:04.5'",
        "text '3 h'",
        "true",
    ),
)
LISTS = (
    *(
        "ARRAY['40001', '40', '5xx']",
        "ARRAY['timeout','x']",
        "'{40001,\"503\"}'",
        "ARRAY[]::text[]",
        "ARRAY[40001]",
    ),
    *("'{}'", "ARRAY['all' || '']", "NULL", "ARRAY['40', NULL]", "ARRAY['40001']::text[]", "'40'"),
)
WORDS = {
    "on_error": ("'fail'", "'continue'", "'Fail'", "N'fail '", "5"),
    "delivery": ("'at_least_once'", "E'at_most_\\x6fnce'", "'once'"),
    "isolation": ("'read committed'", "'repeatable read'::text", "'SERIALIZABLE'", "$$serializable$$"),
    "rate_limit": ("'100/minute'", "'1/day'", "'0/second'", "'5 / hour'", "'7/' || 'hour'"),
    "rate_key": ("'é'", "''", "'a b'", "7"),
    "jitter": ("true", "FALSE", "'off'", "'maybe'", "1"),
    "max_attempts": ("3", "'4'", "0", "-1", "2.5::int", "1.5", "NULL"),
    "autocommit": ("true", "'no'", "NULL"),
    "settings": (
        """'{"work_mem": "1GB", "a.b": 1.50, "c": true}'""",
        "jsonb_build_object('work_mem', 5)",
        """'{"a b": 1}'""",
        """'{"statement_timeout": 5}'""",
        """'{"df.notify": "off"}'""",
        """'{"a": null}'""",
        "'[]'",
        "'{}'::jsonb",
    ),
    "retry_unsafe": ("true", "false"),
    "backoff": DURATIONS,
    "max_backoff": DURATIONS,
    "timeout": DURATIONS,
    "retry_after_max": DURATIONS,
    "retry_on": LISTS,
    "no_retry_on": LISTS,
}
BREAKS = (
    *(
        "",
        "'x'",
        "NULL",
        "1.50",
        "-7",
        "1e2",
        "true",
        '\'{"b": 1, "a": 2}\'::jsonb',
        "'[ 1 ]'::json",
        "'$a'",
        "''",
    ),
    *(
        "'é😀'",
        "'a' || 'b'",
        "N'a '",
        "0x1F",
        "value => 'x'",
        "jsonb_build_object('a', 1)",
        "2::numeric",
        "'t'::bool",
    ),
)
PARTS = (
    """'[{"name": "f", "data_b64": "aGk="}]'""",
    """'[{"data_b64":"$a.b","name":"é","filename":null}]'""",
    """'[{"name": "f", "data_b64": "aGk"}]'""",
    "'[]'",
    "jsonb_build_array(jsonb_build_object('name', 'f', 'data_b64', '', 'content_type', 'text/csv'))",
    """'[{"name": "f", "data_b64": "", "extra": 1}]'""",
)


PAUSES = ("$a minutes", "$a", "$b.c?", "it''s $a", "$$a")
MOMENTS = [
    line.strip("|")
    for line in """
2030-01-31
2030-02-30
2030-13-01
2030-1-5 12:00
2030-01-31 24:00:00
2030-01-31T25:00
2030-01-31 12:00:00.5+02
2030-01-31 12:00Z
2030-01-31 12:61
2030-01-31 12:00 +05:30
2030-01-31 12:00+99
0000-01-01
soon
tomorrow
| now |
-infinity
$a.at
||
""".strip().splitlines()
]
CRONS = [
    line.strip("|")
    for line in """
* * * * *
*/5 8-18/2 1,15 jan-mar,12 MON-fri
0 0 29 2 *
0 0 30 2 *
0 0 31 2 7
0 0 31 2 *
0 0 */31 2 1
0 0 31 4,Jun */2
0 0 31 4,Jul */2
0 0 30-31 feb,apr *
0 0 31,1 2 *
0 0 1jan * *
0 0 1 1jan *
0 0 1 jan1 *
0 0 1 jan-1 *
0 0 L * *
0 0 * * 5#2
0 0 ? * *
60 * * * *
* 24 * * *
* * 0 * *
* * * 13 *
* * * * 8
* * * * fri-sun
* * * * sun-fri/2
5/15 * * * *
*/0 * * * *
1,,2 * * * *
1- * * * *
a * * * *
007 * * * *
*-5 * * * *
1-2-3 * * * *
*/5/5 * * * *
-1 * * * *
+1 * * * *
1.5 * * * *
*,5 * * * *
* * * *
* * * * * *
@daily
||
| |
| 0  0 * * sun |
0 0\u00a0* * *
""".strip().splitlines()
]
ZONES = (
    *("UTC", "Europe/Vienna", "europe/vienna", "Europe/Wien", "", "posix/UTC", "localtime", "EST5EDT"),
    *("+02:00", "CET", "Etc/GMT+3"),
)
INPUTS = (
    *("NULL", "'null'", "5", """'[1,"$a"]'""", """'{"b": "$a", "a": "x $b.c", "a": 1.0}'""", "'{'", "'$a'"),
    "jsonb_build_object('a', ARRAY[1, 2])",
)


class Writer:
    """Writes one expression, by the choices of `random`."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def gap(self) -> str:
        return self.random.choice(GAPS)

    def literal(self, value: str) -> str:
        quoted = value.replace("'", "''")
        tag = self.random.choice(("$$", "$q$", "$é$", "$_1$"))
        match self.random.randrange(7):
            case 0:
                quote = self.random.choice(("''", "\\'"))
                return "E'" + value.replace("\\", "\\\\").replace("'", quote) + "'"
            case 1 if tag not in value + tag[:-1]:
                return tag + value + tag
            case 2:
                return (
                    "U&'"
                    + quoted.replace("\\", "\\\\").replace("é", "\\00e9").replace("😀", "\\+01F600")
                    + "'"
                )
            case 3:
                return "E'" + "".join(self.escaped(character) for character in value) + "'"
            case 4 if len(value) > 1:
                at = self.random.randrange(1, len(value))
                halves = [half.replace("'", "''") for half in (value[:at], value[at:])]
                return "'" + self.random.choice(("'\n'", "'\n -- c\n  '")).join(halves) + "'"
            case 5:
                return f"N'{quoted}'"
            case _:
                return f"'{quoted}'"

    def escaped(self, character: str) -> str:
        forms = (
            f"\\{character}" if character in "\\'" else character,
            f"\\U{ord(character):08x}",
            "".join(f"\\x{byte:02x}" for byte in character.encode()),
            "".join(f"\\{byte:03o}" for byte in character.encode()),
        )
        return self.random.choice(forms)

    def text(self, value: str) -> str:
        match self.random.randrange(8):
            case 0 if value:
                at = self.random.randrange(len(value))
                return f"({self.literal(value[:at])}{self.gap()}||{self.gap()}{self.literal(value[at:])})"
            case 1:
                kind = self.random.choice(
                    ("text", "TEXT", "pg_catalog.text", "varchar", '"text"', "character varying")
                )
                return f"{self.literal(value)}{self.gap()}::{self.gap()}{kind}"
            case 2:
                return f"CAST({self.literal(value)} AS text)"
            case 3:
                return f"({self.gap()}{self.literal(value)}{self.gap()})"
            case 4:
                quoted = value.replace("'", "''")
                return f"text '{quoted}'"
            case _:
                return self.literal(value)

    def call(self, name: str, arguments: list[str]) -> str:
        schema = self.random.choice(("df.", "df . ", "DF.", '"df".', "df/*c*/.", "Df."))
        written = self.random.choice((name, name.upper(), f'"{name}"'))
        return f"{schema}{written}{self.gap()}({f'{self.gap()},{self.gap()}'.join(arguments)})"

    def several(self, depth: int) -> list[str]:
        return [self.expression(depth - 1) for _ in range(self.random.randrange(1, 4))]

    def policies(self, function: str) -> list[str]:
        """Some policies of a function, mostly none."""
        names = [p.name for p in STEPS[function].every if p.name in WORDS]
        chosen = self.random.sample(names, self.random.choice((0, 0, 0, 1, 2, 3)))
        arrow = self.random.choice(("=>", ":="))
        return [f"{name}{self.gap()}{arrow} {self.random.choice(WORDS[name])}" for name in chosen]

    def request(self) -> str:
        if self.random.random() < 0.3:
            options = [f"parts => {self.random.choice(PARTS)}", f"method => {self.text('Put')}"]
            chosen = self.random.sample(options, self.random.randrange(1, 3))
            url = self.text(self.random.choice(URLS))
            return self.call("http_multipart", [url, *chosen, *self.policies("http_multipart")])
        options = [
            f"method => {self.text(self.random.choice(('GET', 'post', 'FETCH')))}",
            f"body := {self.text('é' + chr(10))}",
            f"headers => {self.random.choice(HEADERS)}",
            f"timeout_seconds => {self.random.choice(SECONDS)}",
        ]
        chosen = self.random.sample(options, self.random.randrange(3))
        return self.call("http", [self.text(self.random.choice(URLS)), *chosen, *self.policies("http")])

    def array(self, group: str, depth: int) -> str:
        """A group given as an array, with VARIADIC or without."""
        written = f"ARRAY[{', '.join(self.several(depth))}]{self.random.choice(('', '::text[]'))}"
        match self.random.randrange(4):
            case 0:
                # Of an array of `character` PostgreSQL cannot say which function it is for.
                cast = "::text[]" if "N'" in written and not written.endswith("]::text[]") else ""
                return self.call(group, [f"VARIADIC {written}{cast}"])
            case 1 if group in ("join", "parallel"):
                ending = self.random.choice(
                    ("'cancel'", "on_failure => 'cancel'", "'wait'", "'stop'", "NULL")
                )
                return self.call(group, [written, ending])
            case 2:
                return self.call(group, [f"branches => {written}"])
            case _:
                return self.call(group, [written])

    def structure(self, depth: int) -> str:
        """What runs parts of its own, as a call."""
        e = [self.expression(depth - 1) for _ in range(3)]
        perhaps = self.random.choice(([], [], [e[2]], ["NULL"]))
        name = self.text(self.random.choice(NAMES))
        match self.random.randrange(9):
            case 0:
                return self.call("if", [e[0], e[1], *perhaps])
            case 1:
                return self.call("if_rows", [name, e[0], *perhaps])
            case 2:
                kept = self.random.choice(([], [], ["compensate => 'all'"], ["compensate => 'none'"]))
                return self.call("loop", [e[0], *perhaps, *kept])
            case 3:
                return self.map(e[0])
            case 4:
                return self.call("atomic", [e[0], *self.policies("atomic")])
            case 5:
                return self.call("retry", [e[0], self.random.choice(WORDS["max_attempts"]), *self.retries()])
            case 6:
                return self.call("timeout", [e[0], self.random.choice(DURATIONS), *perhaps])
            case 7:
                return self.call("try", [e[0], e[1], *perhaps])
            case _:
                return self.call(
                    "compensate", self.random.choice(([e[0], e[1]], [f"undo => {e[1]}", f'"do" => {e[0]}']))
                )

    def waiting(self, depth: int) -> str:
        """What waits; what is wrong in it, or right, is so for both doors."""
        timeout = [f"timeout => {self.random.choice(DURATIONS)}"] * self.random.randrange(2)
        match self.random.randrange(7):
            case 0:
                return self.call("sleep", [self.random.choice((*DURATIONS, *(self.text(t) for t in PAUSES)))])
            case 1:
                return self.call("wait_until", [self.text(self.random.choice(MOMENTS))])
            case 2:
                zone = [self.text(self.random.choice(ZONES))] * self.random.randrange(2)
                return self.call("wait_for_schedule", [self.text(self.random.choice(CRONS)), *zone])
            case 3:
                limit = [self.random.choice(DURATIONS)] * self.random.randrange(2)
                return self.call("wait_for_signal", [self.text(self.random.choice(("go", "", "é "))), *limit])
            case 4:
                return self.call(
                    "wait_for_instance", [self.text(self.random.choice(("$a", " ", "0195"))), *timeout]
                )
            case 5:
                every = [f"every => {self.random.choice(DURATIONS)}"] * self.random.randrange(2)
                asked = self.random.choice(
                    (self.request(), self.text("SELECT 1"), self.expression(max(depth - 1, 0)))
                )
                return self.call("wait_for", [asked, *every, *timeout])
            case _:
                given = [f"input => {self.random.choice(INPUTS)}"] * self.random.randrange(2)
                name = self.text(self.random.choice(NAMES))
                return self.call("call", [name, *given, *self.policies("call")])

    def retries(self) -> list[str]:
        return [option for option in self.policies("retry") if not option.startswith("max_attempts")]

    def map(self, body: str) -> str:
        items = self.text(self.random.choice(("SELECT 1", "$a", "SELECT * FROM $b.*", "", "x")))
        items = self.random.choice((items, items, self.call("sql", ["'SELECT 1'", *self.policies("sql")])))
        options = [
            f"name => {self.text(self.random.choice(('item', 'row', *NAMES)))}",
            f"max_parallel => {self.random.choice(WORDS['max_attempts'])}",
            f"batch_size := {self.random.choice(('10', '0', 'NULL'))}",
            f"on_error => {self.random.choice(WORDS['on_error'])}",
        ]
        return self.call("map", [items, body, *self.random.sample(options, self.random.randrange(3))])

    def expression(self, depth: int) -> str:
        group = self.random.choice(("seq", "join", "parallel", "race"))
        match self.random.randrange(19) if depth else 0:
            case 0 | 1:
                return self.text(self.random.choice(QUERIES))
            case 2:
                name, body = self.text(self.random.choice(NAMES)), self.expression(depth - 1)
                return self.call("step", [name, body, *self.policies("step")])
            case 3:
                name = f"name => {self.text(self.random.choice(NAMES))}"
                return self.call("step", self.random.sample([name, f"BODY:={self.expression(depth - 1)}"], 2))
            case 4:
                return self.call("sql", [self.text(self.random.choice(QUERIES)), *self.policies("sql")])
            case 5:
                return self.call(group, self.several(depth))
            case 6:
                return self.array(group, depth)
            case 7:
                return self.call("as", [self.expression(depth - 1), self.text(self.random.choice(NAMES))])
            case 8:
                return self.request()
            case 9:
                return f"({self.gap()}{self.expression(depth - 1)}{self.gap()})"
            case 10:
                return f"@>{self.gap()} {self.expression(depth - 1)}"
            case 11:
                return self.call("break", [self.random.choice(BREAKS)])
            case 12 | 13 | 14:
                return self.structure(depth)
            case 15 | 16:
                return self.waiting(depth)
            case _:
                return self.row(depth)

    def row(self, depth: int) -> str:
        written = self.expression(depth - 1)
        for _ in range(self.random.randrange(1, 4)):
            operator = self.random.choice(("~>", "~>", "|=>", "|=>", "&", "|", "?>", "!>", "||"))
            named = operator == "|=>" and self.random.random() < 0.4
            right = self.text(self.random.choice(NAMES)) if named else self.expression(depth - 1)
            written += f"{self.gap()} {operator} {self.gap()}{right}"
        return written


@pytest.fixture(scope="module")
def connection(shared_database: str) -> Iterator[Connection]:
    with psycopg.connect(shared_database, autocommit=True) as opened:
        yield opened


def wire_of_postgresql(connection: Connection, text: str) -> str | None:
    query = f"SELECT df._wire(df._node({text}))".encode()
    try:
        row = connection.execute(query).fetchone()
    except psycopg.Error:
        return None
    return None if row is None else row[0]


def check(connection: Connection, text: str) -> None:
    """Both doors refuse the text, with the same codes where both compile, or make the same plan of it."""
    file = compile_file(Source("test", f"SELECT df.start({text});"))
    [ours] = file.statements or [None]
    theirs = wire_of_postgresql(connection, text)
    if theirs is None:
        assert ours is None or isinstance(ours, ServerStatement) or ours.wire is None, text
        return
    assert not isinstance(ours, ServerStatement), text
    codes = {problem.code for problem in file.problems if problem.severity == "error"}
    if "DF115" in codes:
        return  # `(a ~> b) || ''` is a mistake that only the file door can see
    compiled = compile_wire(theirs)
    if compiled.plan is None:
        assert codes == {problem.code for problem in compiled.problems if problem.severity == "error"}, text
        return
    assert ours is not None and ours.wire == theirs, (text, codes)
    assert ours.compiled.plan is not None and canonical(ours.compiled.plan) == canonical(compiled.plan), text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=depth(400))
@given(st.randoms(use_true_random=False))
def test_both_doors_make_one_plan_of_any_text(connection: Connection, random: Random) -> None:
    check(connection, Writer(random).expression(random.randrange(1, 4)))


@pytest.mark.parametrize(
    "text", ["N'SELECT ' || '1'", "N'SELECT 1  '", "df.step(N'a ', N'SELECT 1')", "'$a'"]
)
def test_texts_that_were_two_plans(connection: Connection, text: str) -> None:
    check(connection, text)
