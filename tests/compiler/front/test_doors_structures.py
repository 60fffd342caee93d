"""Random control flow, policies and options through both doors: one plan, or the same faults."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfc.compiler.ast import ServerStatement
from dfc.compiler.driver import compile_file
from dfc.compiler.source import Source
from tests.compiler.front.test_doors import Connection, Writer, check
from tests.sql.test_builders import cases

DURATIONS = (
    *("'90 s'", "5", "1.5", "interval '1 min'", "'1 day -1 hour'", "'P1DT2H'", "'1-2'", "'30'", "'2 weeks'"),
    *("-1", "'soon'", "0", "NULL", "'-1 s'", "'1:30'", "0.0000005", "interval '0'", "'1.5 mons'", "' 3 h '"),
)
VALUES: dict[str, tuple[str, ...]] = {
    "max_attempts": ("3", "'2'", "1", "0", "-1", "NULL", "2::int"),
    "backoff": DURATIONS,
    "max_backoff": DURATIONS,
    "jitter": ("true", "false", "'on'", "NULL"),
    "retry_on": (
        "ARRAY['40001','5xx']",
        "'{40, timeout}'",
        "ARRAY['often']",
        "'{}'",
        "ARRAY['a',NULL]",
        "NULL",
    ),
    "no_retry_on": ("ARRAY['all']", "'{transient,\"503\"}'", "ARRAY['9']", "ARRAY[]::text[]"),
    "timeout": DURATIONS,
    "on_error": ("'continue'", "'fail'", "'skip'", "NULL"),
    "rate_limit": ("'100/minute'", "'1/second'", "'0/day'", "'many'", "NULL"),
    "rate_key": ("'k'", "'é\"'", "NULL"),
    "delivery": ("'at_most_once'", "'at_least_once'", "'once'"),
}
OF_SQL: dict[str, tuple[str, ...]] = {
    "autocommit": ("false", "NULL"),
    "isolation": ("'serializable'", "'read committed'", "'SERIALIZABLE'", "'none'"),
    "settings": ("""'{"work_mem": "1GB", "a":1.50, "b":true}'""", "'[]'", "'{\"a\":null}'", "'{}'", "NULL"),
}
OF_HTTP: dict[str, tuple[str, ...]] = {"retry_unsafe": ("true", "false"), "retry_after_max": DURATIONS}
BREAKS = ("", "NULL", "'done'", "''", "1.50", "-7", "true", '\'{"b":1,"a":2}\'::jsonb', "'[1]'::json", "1e3")
PARTS = (
    """'[{"name":"f","data_b64":"aGk=","filename":"x.txt"}]'""",
    """'[{"name":"f","data_b64":"$a"}]'""",
    """jsonb_build_array(jsonb_build_object('name','f','data_b64',''))""",
    *("'[]'", "'{}'", "'[1]'", """'[{"name":"f"}]'""", """'[{"name":"","data_b64":""}]'"""),
)


class StructureWriter(Writer):
    """Writes an expression with structures, policies and options."""

    def options(self, *known: dict[str, tuple[str, ...]]) -> list[str]:
        values = {name: forms for each in known for name, forms in each.items()}
        chosen = self.random.sample(sorted(values), self.random.choice((0, 0, 1, 1, 2)))
        return [f"{name} => {self.random.choice(values[name])}" for name in chosen]

    def some(self, depth: int) -> str:
        return self.expression(depth - 1) if depth else self.plain()

    def plain(self) -> str:
        return self.text(self.random.choice(("SELECT 1", "SELECT 2", "SELECT $a?", "$a?", "DELETE FROM t")))

    def expression(self, depth: int) -> str:
        match self.random.randrange(22) if depth else -1:
            case -1:
                return self.plain()
            case 0:
                return self.call("if", [self.some(depth) for _ in range(self.random.choice((2, 3)))])
            case 1:
                name = self.text(self.random.choice(("a", "x y", "input")))
                return self.call("if_rows", [name, *(self.some(depth) for _ in range(2))])
            case 2 | 3:
                other = f" !> {self.some(depth)}" if self.random.random() < 0.6 else ""
                return f"({self.some(depth)} ?> {self.some(depth)}{other})"
            case 4:
                keeps = self.random.choice(("", ", compensate => 'all'", ", compensate => 'none'"))
                until = f", {self.some(depth)}" if self.random.random() < 0.5 else ""
                return f"df.loop({self.some(depth)}{until}{keeps})"
            case 5:
                return f"(@> {self.some(depth)})"
            case 6:
                return f"df.loop({self.some(depth)} ~> df.break({self.random.choice(BREAKS)}))"
            case 7:
                items = self.random.choice(("'SELECT 1'", "df.sql('SELECT 1')", self.some(depth)))
                options = ("max_parallel => 3", "batch_size => 0", "name => 'row'", "on_error => 'continue'")
                chosen = self.random.sample(options, self.random.randrange(3))
                return self.call("map", [items, self.some(depth), *chosen])
            case 8:
                return self.call("atomic", [self.some(depth), *self.options(VALUES, OF_SQL)])
            case 9:
                attempts = self.random.choice(("3", "0", "NULL"))
                retry = {name: VALUES[name] for name in ("backoff", "max_backoff", "jitter", "retry_on")}
                return self.call("retry", [self.some(depth), attempts, *self.options(retry)])
            case 10:
                other = [self.some(depth)] if self.random.random() < 0.5 else []
                return self.call("timeout", [self.some(depth), self.random.choice(DURATIONS), *other])
            case 11:
                return self.call("try", [self.some(depth) for _ in range(self.random.choice((2, 3)))])
            case 12:
                return self.call("compensate", [self.some(depth), self.some(depth)])
            case 13 | 14:
                group = self.random.choice(("race", "seq", "join", "parallel"))
                array = f"ARRAY[{', '.join(self.several(depth))}]"
                failure = self.random.choice((", 'cancel'", ", on_failure => 'wait'", ", 'never'", "", ""))
                return f"df.{group}({array}{failure if group in ('join', 'parallel') else ''})"
            case 15:
                return f"({self.some(depth)} | {self.some(depth)})"
            case 16 | 17:
                return self.call("sql", [self.text("SELECT 1"), *self.options(VALUES, OF_SQL)])
            case 18:
                body = self.random.choice((self.some(depth), "df.sql('SELECT 1', jitter => true)"))
                name = self.text(self.random.choice(("a", "b", "c")))
                return self.call("step", [name, body, *self.options(VALUES, OF_SQL)])
            case 19:
                return self.call("http", [self.text("http://x"), *self.options(VALUES, OF_HTTP)])
            case 20:
                parts = f"parts => {self.random.choice(PARTS)}"
                options = [parts, *self.options(VALUES, OF_HTTP)]
                return self.call("http_multipart", [self.text("http://x"), *options])
            case _:
                return self.row(depth)


@pytest.fixture(scope="module")
def connection(shared_database: str) -> Iterator[Connection]:
    with psycopg.connect(shared_database, autocommit=True) as opened:
        yield opened


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.randoms(use_true_random=False))
def test_both_doors_make_one_plan_of_any_structure(connection: Connection, random: Random) -> None:
    check(connection, StructureWriter(random).expression(random.randrange(1, 4)))


OTHER_CODES = {
    "DF116": {"DF162", "DF163"},  # an empty or missing array: the file door speaks of arguments
    "DF114": {"DF116", "DF162", ""},  # NULL for what a request needs; of an option it means the default
    "DF169": {"DF163"},  # options are not positional in a file
    "42883": {"DF163"},
    "0A000": {"DF190", ""},
}
"""Where the two doors say different things of the same fault."""


@pytest.mark.parametrize(("expression", "said"), cases("refused.txt"))
def test_one_fault_has_one_code(expression: str, said: str) -> None:
    compiled = compile_file(Source("test", f"SELECT df.start({expression});"))
    if any(isinstance(statement, ServerStatement) for statement in compiled.statements):
        return
    code = said.partition(":")[0]
    codes = {problem.code for problem in compiled.problems if problem.severity == "error"} or {""}
    assert code in codes or codes <= OTHER_CODES.get(code, set())
