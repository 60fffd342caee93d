"""The wire text that functions and operators build, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.worker import Connection, connect, refusal, value

A, B, C = '{"sql":"SELECT 1"}', '{"sql":"SELECT 2"}', '{"sql":"SELECT 3"}'
a, b, c = "'SELECT 1'", "'SELECT 2'", "'SELECT 3'"


@pytest.fixture
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection
        connection.execute("TRUNCATE df.instances")


def wire(body: str) -> str:
    return f"/*dfc:1:{len(body)}*/{body}"


BUILT = [
    (f"{a} ~> {b} ~> {c}", f'{{"chain":[{A},{B},{C}]}}'),
    (f"{a} ~> ({b} ~> {c})", f'{{"chain":[{A},{B},{C}]}}'),
    (f"({a} ~> {b}) ~> ({b} ~> {c})", f'{{"chain":[{A},{B},{B},{C}]}}'),
    (f"{a} & {b} & {c}", f'{{"join":[{{"join":[{A},{B}]}},{C}]}}'),
    (f"df.join3({a}, {b}, {c})", f'{{"join":[{A},{B},{C}]}}'),
    (f"df.join({a}, {b}, {c})", f'{{"join":[{A},{B},{C}]}}'),
    (f"{a} |=> {b} |=> {c}", f'{{"parallel":[{A},{B},{C}]}}'),
    (f"{a} |=> ({b} |=> {c})", f'{{"parallel":[{A},{{"parallel":[{B},{C}]}}]}}'),
    (f"df.parallel(VARIADIC ARRAY[{a}, {b}])", f'{{"parallel":[{A},{B}]}}'),
    (f"{a} |=> 'x' |=> {b}", f'{{"parallel":[{{"as":"x","body":{A}}},{B}]}}'),
    (f"{a} ~> {b} |=> 'größe'", f'{{"as":"größe","body":{{"chain":[{A},{B}]}}}}'),
    (f"df.as(fut => {a}, name => 'x')", f'{{"as":"x","body":{A}}}'),
    (f"df.step('s', {a}) ~> df.step('t', df.step('u', {b}))",
     f'{{"chain":[{{"step":"s","body":{A}}},{{"step":"t","body":{{"step":"u","body":{B}}}}}]}}'),
    (f"df.seq({a}, {b})", f'{{"chain":[{A},{B}]}}'),
    (f"df.seq({a}, df.seq({b}, {c}), {a})", f'{{"chain":[{A},{B},{C},{A}]}}'),
    (f"df.seq(VARIADIC ARRAY[{a}, {b}])", f'{{"chain":[{A},{B}]}}'),
    ("df.sql('CHECKPOINT')", '{"sql":"CHECKPOINT"}'),
    ("df.http('https://x', 'get')",
     '{"http":{"url":"https://x","method":"GET","body":null,"headers":null,"timeout_seconds":30}}'),
    ("""df.http('$u', headers => '{"b":"1","a":"2"}', body => '"', timeout_seconds => 5)""",
     '{"http":{"url":"$u","method":"POST","body":"\\"","headers":{"a": "2", "b": "1"},"timeout_seconds":5}}'),
    (f"df.join(VARIADIC ARRAY[{a}, {b}])", f'{{"join":[{A},{B}]}}'),
    (f"df.race(VARIADIC ARRAY[{a}, {b}])", f'{{"race":[{A},{B}]}}'),
    (f"df.race(VARIADIC ARRAY[{a}, {b}]::varchar[])", f'{{"race":[{A},{B}]}}'),
    (f"df.join(VARIADIC ARRAY[{a}, {b}]::varchar[])", f'{{"join":[{A},{B}]}}'),
    (f"df.seq(ARRAY[{a}, {b}])", f'{{"chain":[{A},{B}]}}'),
    (f"df.seq(ARRAY[{a}])", A),
    (f"df.join(ARRAY[{a}, {b}])", f'{{"join":[{A},{B}]}}'),
    (f"df.join(ARRAY[{a}], on_failure => 'cancel')", f'{{"join":[{A}],"on_failure":"cancel"}}'),
    (f"df.join(ARRAY[{a}], 'wait')", f'{{"join":[{A}]}}'),
    (f"df.join(ARRAY[{a}], NULL)", f'{{"join":[{A}]}}'),
    (f"df.join3({a}, {b}, {c}, on_failure => 'cancel')", f'{{"join":[{A},{B},{C}],"on_failure":"cancel"}}'),
    (f"df.parallel(ARRAY[{a}, {b}], 'cancel')", f'{{"parallel":[{A},{B}],"on_failure":"cancel"}}'),
    (f"df.parallel(ARRAY[{a}, {b}], 'cancel') |=> {c}",
     f'{{"parallel":[{{"parallel":[{A},{B}],"on_failure":"cancel"}},{C}]}}'),
    (f"df.parallel(ARRAY[{a}, {b}]) |=> {c}", f'{{"parallel":[{A},{B},{C}]}}'),
    (f"{a} | {b} | {c}", f'{{"race":[{{"race":[{A},{B}]}},{C}]}}'),
    (f"df.race({a}, {b})", f'{{"race":[{A},{B}]}}'),
    (f"df.race({a}, {b}, {c})", f'{{"race":[{A},{B},{C}]}}'),
    (f"df.race(ARRAY[{a}, {b}])", f'{{"race":[{A},{B}]}}'),
    (f"df.race({a})", f'{{"race":[{A}]}}'),
    (f"{a} ?> {b}", f'{{"if":{A},"then":{B}}}'),
    (f"{a} ?> {b} !> {c}", f'{{"if":{A},"then":{B},"else":{C}}}'),
    (f"df.if({a}, {b}) !> {c}", f'{{"if":{A},"then":{B},"else":{C}}}'),
    (f"'$ok' ?> {b} !> ('$no.x?' ?> {c})",
     f'{{"if":{{"sql":"$ok"}},"then":{B},"else":{{"if":{{"sql":"$no.x?"}},"then":{C}}}}}'),
    (f"{a} ~> {b} ?> ({b} ~> {c})", f'{{"if":{{"chain":[{A},{B}]}},"then":{{"chain":[{B},{C}]}}}}'),
    (f"df.if({a}, {b}, {c})", f'{{"if":{A},"then":{B},"else":{C}}}'),
    (f"df.if(condition => {a}, then_branch => {b}, else_branch => {c})", f'{{"if":{A},"then":{B},"else":{C}}}'),
    (f"df.if({a}, {b}, NULL)", f'{{"if":{A},"then":{B}}}'),
    (f"df.if_rows('x', {a})", f'{{"if_rows":"x","then":{A}}}'),
    (f"df.if_rows(result_name => 'x', then_branch => {a}, else_branch => {b})",
     f'{{"if_rows":"x","then":{A},"else":{B}}}'),
    (f"@> {a} ~> {b}", f'{{"chain":[{{"loop":{A}}},{B}]}}'),
    (f"@> ({a} ~> {b})", f'{{"loop":{{"chain":[{A},{B}]}}}}'),
    (f"df.loop({a})", f'{{"loop":{A}}}'),
    (f"df.loop({a}, {b})", f'{{"loop":{A},"while":{B}}}'),
    (f"df.loop({a}, {b}, compensate => 'all')", f'{{"loop":{A},"while":{B},"compensate":"all"}}'),
    (f"df.loop({a}, compensate => 'all')", f'{{"loop":{A},"compensate":"all"}}'),
    ("df.break()", '{"break":null}'),
    ("df.break(NULL)", '{"break":null}'),
    ("df.break('done')", '{"break":"done"}'),
    ("df.break('')", '{"break":""}'),
    ("df.break(1.50)", '{"break":"1.50"}'),
    ("df.break(-7)", '{"break":"-7"}'),
    ("df.break(true)", '{"break":"true"}'),
    ("df.break(value => '{\"b\":1, \"a\":2}'::json)", '{"break":"{\\"b\\":1, \\"a\\":2}"}'),
    ("df.break('{\"b\":1, \"a\":2}'::jsonb)", '{"break":"{\\"a\\": 2, \\"b\\": 1}"}'),
    (f"df.map('$rows', {a})",
     f'{{"map":{{"sql":"$rows"}},"body":{A},"name":"item","max_parallel":16,"batch_size":1,"on_error":"fail"}}'),
    (f"df.map(df.sql({a}), body => {b}, name => 'doc', max_parallel => 3, batch_size => 100, on_error => 'continue')",
     f'{{"map":{A},"body":{B},"name":"doc","max_parallel":3,"batch_size":100,"on_error":"continue"}}'),
    (f"df.map({a}, {b}, NULL, NULL, NULL, NULL)",
     f'{{"map":{A},"body":{B},"name":"item","max_parallel":16,"batch_size":1,"on_error":"fail"}}'),
    (f"df.atomic({a} ~> {b})", f'{{"atomic":{{"chain":[{A},{B}]}}}}'),
    (f"df.atomic({a}, isolation => 'serializable', max_attempts => 5)",
     f'{{"atomic":{A},"policy":{{"max_attempts":5,"isolation":"serializable"}}}}'),
    (f"df.retry({a}, 3)", f'{{"retry":{A},"policy":{{"max_attempts":3}}}}'),
    (f"df.retry({a}, 3, '2 s', '1 min', false, '{{40,transient}}', ARRAY['23505'])",
     f'{{"retry":{A},"policy":{{"max_attempts":3,"backoff":[0,0,2000000],"max_backoff":[0,0,60000000],"jitter":false,'
     '"retry_on":["40","transient"],"no_retry_on":["23505"]}}'),
    (f"df.timeout({a}, '1 hour')", f'{{"timeout":{A},"duration":[0,0,3600000000]}}'),
    (f"df.timeout({a}, 90, {b})", f'{{"timeout":{A},"duration":[0,0,90000000],"else":{B}}}'),
    (f"df.timeout({a}, 1, NULL)", f'{{"timeout":{A},"duration":[0,0,1000000]}}'),
    (f"df.try({a}, {b})", f'{{"try":{A},"catch":{B}}}'),
    (f"df.try({a}, {b}, finally => {c})", f'{{"try":{A},"catch":{B},"finally":{C}}}'),
    (f"df.compensate({a}, {b})", f'{{"compensate":{A},"undo":{B}}}'),
    (f'df.compensate("do" => {a}, undo => {b})', f'{{"compensate":{A},"undo":{B}}}'),
]  # fmt: skip

POLICY = (
    '"policy":{"max_attempts":3,"backoff":[0,0,0],"max_backoff":[0,0,1500000],"jitter":true,"retry_on":["40001","5xx"],'
    '"no_retry_on":[],"timeout":[0,1,0],"on_error":"continue","rate_limit":"100/minute","rate_key":"k\\"",'
    '"delivery":"at_most_once"'
)
POLICIES = (
    "delivery => 'at_most_once', max_attempts => 3, backoff => interval '0', max_backoff => '1.5 s', jitter => true, "
    "retry_on => '{40001,5xx}', no_retry_on => '{}', timeout => '1 day', on_error => 'continue', "
    "rate_limit => '100/minute', rate_key => 'k\"'"
)
OF_SQL = 'autocommit => false, isolation => \'read committed\', settings => \'{"b":"1GB","a":true}\''
SQL_POLICY = (
    f'{POLICY},"autocommit":false,"isolation":"read committed","settings":{{"a": true, "b": "1GB"}}}}'
)
OF_HTTP = "retry_unsafe => true, retry_after_max => '1 hour'"
HTTP_POLICY = f'{POLICY},"retry_unsafe":true,"retry_after_max":[0,0,3600000000]}}'
REQUEST = '{"http":{"url":"http://x","method":"POST","body":null,"headers":null,"timeout_seconds":30}'
PARTS = """'[{"name":"f","data_b64":"aGk=","filename":"hi.txt","content_type":"text/plain"},{"data_b64":"$x","name":"g"}]'"""
MULTIPART = (
    '{"multipart":{"url":"http://x","method":"PUT","parts":[{"name": "f", "data_b64": "aGk=", "filename": "hi.txt", '
    '"content_type": "text/plain"}, {"name": "g", "data_b64": "$x"}],"headers":{"a": "b"},"timeout_seconds":7}'
)

BUILT_WITH_POLICIES = [
    (f"df.sql({a}, {POLICIES}, {OF_SQL})", f"{A[:-1]},{SQL_POLICY}}}"),
    (f"df.sql({a}, max_attempts => NULL)", A),
    (f"df.sql({a}, 3)", A[:-1] + ',"policy":{"max_attempts":3}}'),
    (f"df.sql({a}::varchar)", A),
    (f"df.sql({a}, database => current_database()::text) ~> {b}",
     f'{{"chain":[{A[:-1]},"policy":{{"database":"DB"}}}},{B}]}}'),
    (f"df.step('s', {a}, {POLICIES}, {OF_SQL})", f'{{"step":"s","body":{A},{SQL_POLICY}}}'),
    (f"df.step(name => 's', body => {a}, timeout => 2)", f'{{"step":"s","body":{A},"policy":{{"timeout":[0,0,2000000]}}}}'),
    (f"df.step('s', df.sql({a}, jitter => false), timeout => 2)",
     f'{{"step":"s","body":{A[:-1]},"policy":{{"jitter":false}}}},"policy":{{"timeout":[0,0,2000000]}}}}'),
    (f"df.step('s', df.step('t', {a}), timeout => 2)",
     f'{{"step":"s","body":{{"step":"t","body":{A}}},"policy":{{"timeout":[0,0,2000000]}}}}'),
    ("df.step('s', df.http('http://x'), on_error => 'continue')",
     f'{{"step":"s","body":{REQUEST}}},"policy":{{"on_error":"continue"}}}}'),
    (f"df.atomic({a}, {POLICIES}, {OF_SQL})", f'{{"atomic":{A},{SQL_POLICY}}}'),
    (f"df.http('http://x', {POLICIES}, {OF_HTTP})", f"{REQUEST},{HTTP_POLICY}}}"),
    (f"df.http_multipart('http://x', 'put', {PARTS}, '{{\"a\":\"b\"}}', 7)", f"{MULTIPART}}}"),
    (f"df.http_multipart('http://x', 'put', {PARTS}, '{{\"a\":\"b\"}}', 7, {POLICIES}, {OF_HTTP})",
     f"{MULTIPART},{HTTP_POLICY}}}"),
    ("df.http_multipart('{u}', parts => '[{\"name\":\"n\",\"data_b64\":\"\"}]')",
     '{"multipart":{"url":"{u}","method":"POST","parts":[{"name": "n", "data_b64": ""}],"headers":null,"timeout_seconds":30}}'),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "body"), BUILT + BUILT_WITH_POLICIES)
def test_built(session: Connection, expression: str, body: str) -> None:
    body = body.replace("DB", session.info.dbname)
    assert value(session, f"SELECT {expression}") == wire(body)
    # What functions make, df.start takes.
    assert value(session, "SELECT df._check_expression(%s)", wire(body)) == ""


DURATIONS = [
    ("'90 s'", "[0,0,90000000]"),
    ("'30'", "[0,0,30000000]"),
    ("'1 year 2 mons 3 days 4:05:06.789'", "[14,3,14706789000]"),
    ("'P1M1DT1.5S'", "[1,1,1500000]"),
    ("'1.5 days'", "[0,1,43200000000]"),
    ("'36 hours'", "[0,0,129600000000]"),
    ("'1 day -1 hour'", "[0,1,-3600000000]"),
    ("'2 hours ago'::interval * -1", "[0,0,7200000000]"),
    ("interval '1 month'", "[1,0,0]"),
    ("90", "[0,0,90000000]"),
    ("0.5", "[0,0,500000]"),
    ("1e-6", "[0,0,1]"),
    ("0.0000025", "[0,0,2]"),
    ("100000::bigint", "[0,0,100000000000]"),
    ("1.25::real", "[0,0,1250000]"),
]


@pytest.mark.parametrize(("length", "written"), DURATIONS)
@pytest.mark.parametrize("style", ["postgres", "sql_standard"])
def test_durations(session: Connection, style: str, length: str, written: str) -> None:
    with session.transaction():
        session.execute(f"SET LOCAL IntervalStyle = {style}".encode())
        body = f'{{"timeout":{A},"duration":{written}}}'
        assert value(session, f"SELECT df.timeout({a}, {length})") == wire(body)


def test_characters(session: Connection) -> None:
    for text in ("tab\t nl\n cr\r \x01\x1f\x7f \\ \" / ' é 漢 😀 \b\f", "x -- */ /*", "$$x$$"):
        body = '{"sql":' + json.dumps(text, ensure_ascii=False) + "}"
        assert value(session, "SELECT df.seq(%s::text)", text) == wire(body)
        assert value(session, "SELECT %s::text ~> %s::text", text, text) == wire(
            f'{{"chain":[{body},{body}]}}'
        )


REFUSED = [
    (f"{a} ~> 'word'", "DF112"),
    ("'word' |=> 'x'", "DF112"),
    (f"{a} ~> ''", "DF116"),
    (f"E' \\t\\n' & {a}", "DF116"),
    (f"{a} ~> NULL", "DF116"),
    (f"NULL::text & {a}", "DF116"),
    (f"df.join({a}, NULL, {b})", "DF116"),
    ("df.seq(VARIADIC '{}'::text[])", "DF116"),
    ("df.seq(VARIADIC NULL::text[])", "DF116"),
    ("df.sql(NULL)", "DF116"),
    (f"df.step('a b', {a})", "DF113"),
    (f"df.step('a/b', {a})", "DF113"),
    (f"df.step('', {a})", "DF113"),
    (f"df.step(NULL, {a})", "DF113"),
    (f"df.step('input', {a})", "DF113"),
    (f"df.as({a}, '1x')", "DF113"),
    (f"df.step(repeat('a', 64), {a})", "DF113"),
    (f"df.seq({a} ~> {b} || ' x', {c})", "DF115"),
    (f"df.step('s', 'SELECT ' || df.sql({a}))", "DF115"),
    (f"df.step('s', left(df.sql({a}), -1))", "DF115"),
    ("df.step('s', '/*dfc:1:9999999999*/{}')", "DF115"),
    ("df.step('s', '/*dfc:1:-1*/{}')", "DF115"),
    ("df.step('s', '/*dfc:1:')", "DF115"),
    ("df.http(NULL)", "DF114"),
    ("df.http('')", "DF114"),
    ("df.http('ftp://x')", "DF114"),
    ("df.http('http://x', 'BREW')", "DF114"),
    ("df.http('http://x', NULL)", "DF114"),
    ("df.http('http://x', timeout_seconds => 0)", "DF114"),
    ("df.http('http://x', headers => '[]')", "DF114"),
    ("""df.http('http://x', headers => '{"a": 1}')""", "DF114"),
    (f"df.seq({a}, VARIADIC ARRAY[{b}])", "42883"),
    ("df.sleep(5)", "0A000"),
    ("df.sleep('1 hour')", "0A000"),
    (f"{a} | 'word'", "DF112"),
    (f"{a} | NULL", "DF116"),
    ("df.race(VARIADIC '{}'::text[])", "DF116"),
    ("df.race(NULL::text[])", "DF116"),
    ("df.seq('{}'::text[])", "DF116"),
    (f"df.if(NULL, {a})", "DF116"),
    (f"df.if({a}, NULL)", "DF116"),
    (f"df.if({a}, {b}, '')", "DF116"),
    (f"NULL ?> {a}", "DF116"),
    (f"{a} ?> NULL", "DF116"),
    (f"{a} ?> {b} !> NULL", "DF116"),
    (f"df.if_rows(NULL, {a})", "DF113"),
    (f"df.if_rows('$x', {a})", "DF113"),
    (f"df.if_rows('x', NULL)", "DF116"),
    ("@> NULL", "DF116"),
    ("df.loop(NULL)", "DF116"),
    (f"df.loop({a}, '')", "DF116"),
    (f"df.map(NULL, {a})", "DF116"),
    (f"df.map('rows', {a})", "DF112"),
    (f"df.map({a}, NULL)", "DF116"),
    (f"df.map({a}, {b}, name => 'input')", "DF113"),
    (f"df.map({a}, {b}, name => 'a b')", "DF113"),
    ("df.atomic(NULL)", "DF116"),
    ("df.retry(NULL, 3)", "DF116"),
    ("df.timeout(NULL, 3)", "DF116"),
    (f"df.try({a}, NULL)", "DF116"),
    (f"df.try(NULL, {a})", "DF116"),
    (f"df.compensate({a}, NULL)", "DF116"),
    (f"df.compensate(NULL, {a})", "DF116"),
    (f"df.break({a} ~> {b})", "DF115"),
    ("df.sql('', max_attempts => 3)", "DF116"),
    ("df.sql(NULL, max_attempts => 3)", "DF116"),
    (f"df.step('input', {a}, max_attempts => 3)", "DF113"),
    ("df.http('ftp://x', max_attempts => 3)", "DF114"),
]


@pytest.mark.parametrize(("expression", "code"), REFUSED)
def test_refused(session: Connection, expression: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT {expression}".encode())
    assert caught.value.sqlstate == code
    assert caught.value.diag.message_hint


SAID = [
    (f"{a} !> {b}", "DF164", "Invalid if-then-else: left side of !> must be a ?> expression",
     "All operators have one precedence and group from the left.",
     "Put a branch of several steps into parentheses: condition ?> (a ~> b) !> (c ~> d)."),
    (f"{a} ?> {b} !> {c} !> {c}", "DF164", "Invalid if-then-else: left side of !> must be a ?> expression", "one precedence", "parentheses"),
    (f"{a} ?> {b} ~> {b} !> {c}", "DF164", "Invalid if-then-else: left side of !> must be a ?> expression", "one precedence", "parentheses"),
    (f"df.if_rows('x', {b}) !> {c}", "DF164", "Invalid if-then-else: left side of !> must be a ?> expression", "one precedence", "parentheses"),
    (f"df.timeout({a}, 'soon')", "DF166", "df.timeout: 'soon' is not a duration",
     'invalid input syntax for type interval: "soon"', "Write it as '90 s' or '1 hour 30 min', or as a number of seconds."),
    (f"df.timeout({a}, '-1 s')", "DF166", "df.timeout: the duration '-00:00:01' is negative", "", "Give a duration over zero."),
    (f"df.timeout({a}, 0)", "DF166", "df.timeout: the duration '00:00:00' is zero", "", "Give a duration over zero."),
    (f"df.timeout({a}, 'NaN'::float8)", "DF166", "df.timeout: NaN seconds are not a duration", "A duration given as a number has at most 9e12 seconds.", "Give a smaller number of seconds."),
    (f"df.timeout({a}, 1e300)", "DF166", "seconds are not a duration", "A duration given as a number has at most 9e12 seconds.", "Give a smaller number of seconds."),
    (f"df.timeout({a}, '9999999999 years')", "DF166", "df.timeout: '9999999999 years' is not a duration", "interval", "Write it as"),
    (f"df.timeout({a}, NULL)", "DF116", "df.timeout: the duration is NULL", "", "Give a text like '90 s', an interval or a number of seconds."),
    (f"df.timeout({a}, now())", "DF159", "df.timeout: a timestamp with time zone is not a duration", "",
     "Give a text like '90 s', an interval or a number of seconds."),
    (f"df.sql({a}, backoff => -1)", "DF166", "df.sql: backoff: the duration '-00:00:01' is negative", "", "Give a duration of zero or more."),
    (f"df.sql({a}, max_backoff => '0 s')", "DF166", "df.sql: max_backoff: the duration '00:00:00' is zero", "", "Give a duration over zero."),
    ("df.http('http://x', retry_after_max => 'x')", "DF166", "df.http: retry_after_max: 'x' is not a duration", "interval", "Write it as"),
    (f"df.step('s', {a}, max_attempts => 0)", "DF168", "df.step: max_attempts is 0", "", "The first attempt counts: 1 means that nothing is repeated."),
    (f"df.retry({a}, NULL)", "DF116", "df.retry: max_attempts is NULL", "", "Say how many attempts there are in all, the first one included."),
    (f"df.retry({a}, 3, retry_on => '{{40001,often}}')", "DF170", "df.retry: retry_on: 'often' is no error that could be repeated", "", "Use SQLSTATEs (40001)"),
    (f"df.retry({a}, 3, no_retry_on => ARRAY[NULL::text])", "DF159", "df.retry: no_retry_on: NULL stands among the texts", "", "Write each element in quotes."),
    (f"df.sql({a}, on_error => 'stop')", "DF169", "df.sql: on_error: 'stop' is not known", "", "Use 'fail', 'continue'."),
    (f"df.sql({a}, delivery => 'once')", "DF169", "df.sql: delivery: 'once' is not known", "", "Use 'at_least_once', 'at_most_once'."),
    (f"df.atomic({a}, isolation => 'none')", "DF169", "df.atomic: isolation: 'none' is not known", "", "Use 'read committed', 'repeatable read', 'serializable'."),
    (f"df.sql({a}, rate_limit => '0/minute')", "DF171", "df.sql: rate_limit '0/minute' is not a rate", "", "Write it as '100/minute'; per second, minute, hour or day."),
    (f"df.sql({a}, settings => '[]')", "DF172", "df.sql: settings is not an object", "", """Write settings as '{"work_mem": "1GB"}'."""),
    (f"df.sql({a}, settings => '{{\"a\":null}}')", "DF172", 'df.sql: the value of setting "a" is neither', "", "Write settings as"),
    (f"df.sql({a}, settings => '{{\"a b\":1}}')", "DF172", 'df.sql: "a b" is not the name of a setting', "", "Write settings as"),
    (f"df.sql({a}, database => 'elsewhere')", "0A000", "df.sql: database => 'elsewhere' is not executable yet", "", "A step runs in the database where its workflow was started."),
    (f"df.step('s', {a} ~> {b}, timeout => 2)", "DF132", 'df.step: step "s" has policies and is not one statement or request', "",
     "Use df.retry(...) or df.timeout(...) around the steps, or give each step its own."),
    (f"df.step('s', df.try({a}, {b}), timeout => 2)", "DF132", 'df.step: step "s" has policies and is not one statement', "", "df.retry"),
    (f"df.step('s', df.sql({a}, timeout => 1, jitter => true), timeout => 2)", "DF133", 'df.step: step "s" gives timeout twice',
     "The step and the statement or request in it both have that policy.", "Give it once."),
    (f"df.map({a} ~> {b}, {c})", "DF174", "df.map: items is not a query",
     "The items are the rows of a query without policies, or of an earlier result.", "Give a SELECT, or the name of a result: '$name'."),
    (f"df.map(df.sql({a}, timeout => 1), {c})", "DF174", "df.map: items is not a query", "without policies", "Give a SELECT"),
    (f"df.map({a}, {b}, max_parallel => 0)", "DF168", "df.map: max_parallel is less than 1", "", "Give a whole number over zero."),
    (f"df.map({a}, {b}, batch_size => -1)", "DF168", "df.map: batch_size is less than 1", "", "Give a whole number over zero."),
    (f"df.map({a}, {b}, on_error => 'skip')", "DF169", "df.map: on_error: 'skip' is not known", "", "Use 'fail', 'continue'."),
    (f"df.join(ARRAY[{a}], on_failure => 'stop')", "DF169", "df.join: on_failure: 'stop' is not known", "", "Use 'wait', 'cancel'."),
    (f"df.join3({a}, {b}, {c}, 'stop')", "DF169", "df.join3: on_failure: 'stop' is not known", "", "Use 'wait', 'cancel'."),
    (f"df.parallel(ARRAY[{a}], 'stop')", "DF169", "df.parallel: on_failure: 'stop' is not known", "", "Use 'wait', 'cancel'."),
    (f"df.loop({a}, compensate => 'some')", "DF169", "df.loop: compensate: 'some' is not known", "", "Use 'all'."),
    (f"df.break({a} ~> {b})", "DF115", "df.break: the value is an expression", "A loop is left with a value, not with a step.", "Run the step first"),
    ("df.http_multipart('http://x')", "DF114", "df.http_multipart: parts is required and cannot be NULL", "", "Write parts as"),
    ("df.http_multipart('http://x', parts => '{}')", "DF114", "df.http_multipart: parts is not an array", "", "Write parts as"),
    ("df.http_multipart('http://x', parts => '[]')", "DF114", "df.http_multipart: parts is empty", "", "Write parts as"),
    ("df.http_multipart('http://x', parts => '[1]')", "DF114", "df.http_multipart: part 1 is not an object", "", "Write parts as"),
    ("df.http_multipart('http://x', parts => '[{\"name\":\"x\"}]')", "DF114", 'df.http_multipart: part 1 lacks "name" or "data_b64"', "", "Write parts as"),
    ("df.http_multipart('http://x', parts => '[{\"name\":\"x\",\"data_b64\":\"?\"}]')", "DF114", 'df.http_multipart: part 1 has a "data_b64" that is not base64', "", "Write parts as"),
    ("df.http_multipart('http://x', parts => '[{\"name\":\"x\",\"data_b64\":\"\",\"type\":1}]')", "DF114", 'df.http_multipart: part 1 has the unknown key "type"', "", "Write parts as"),
    (f"df.http_multipart('http://x', 'GET', {PARTS})", "DF114", "df.http_multipart: method 'GET' is not known", "", "Use POST, PUT or PATCH."),
    (f"df.http_multipart('x', parts => {PARTS})", "DF114", "df.http_multipart: url 'x' is not an http address", "", "Begin it with http:// or https://, or with a reference."),
    (f"df.http_multipart('http://x', NULL, {PARTS})", "DF114", "df.http_multipart: method NULL is not known", "", "Use GET"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "code", "message", "detail", "hint"), SAID)
def test_what_is_said(
    session: Connection, expression: str, code: str, message: str, detail: str, hint: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT {expression}".encode())
    said = caught.value.diag
    assert said.sqlstate == code
    assert message in (said.message_primary or "")
    assert detail in (said.message_detail or "") and bool(detail) == bool(said.message_detail)
    assert hint in (said.message_hint or "")


def test_durations_in_one_call_are_of_one_kind(session: Connection) -> None:
    query = f"SELECT df.sql({a}, backoff => 2, timeout => {{}})"
    assert refusal(session, query.format("'1 min'")) == "22P02"
    assert refusal(session, query.format("interval '1 min'")) == "42883"
    assert value(session, query.format("60.5"))


def test_no_function_is_strict(session: Connection) -> None:
    query = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'df'::regnamespace AND proisstrict"
    assert value(session, query) == 0


def test_a_thousand_operators(session: Connection) -> None:
    for operator, key in (("~>", "chain"), ("|=>", "parallel"), ("&", "join"), ("|", "race")):
        text = value(session, "SELECT " + f" {operator} ".join([a] * 1001))
        assert isinstance(text, str)
        body = text.partition("*/")[2]
        assert text == wire(body)
        assert body.startswith(f'{{"{key}":[') and body.count(A) == 1001


def test_operator_resolution_does_not_depend_on_literals(session: Connection) -> None:
    assert value(session, "SELECT 'SELECT 1'::varchar ~> 'SELECT 2'::name") == wire(f'{{"chain":[{A},{B}]}}')


def node(body: str) -> str:
    return "'" + wire(body).replace("'", "''") + "'"


UNMADE = (
    *('{"loop":1}', '{"loop":{}}', '{"if":A}', '{"then":A}', '{"if":A,"then":A,"while":A}', '{"race":[]}', '{"race":A}'),
    *('{"chain":[A]}', '{"chain":[A,1]}', '{"join":[A],"on_failure":"wait"}', '{"race":[A],"on_failure":"cancel"}'),
    *('{"loop":A,"compensate":A}', '{"retry":A}', '{"retry":A,"policy":3}', '{"timeout":A}', '{"timeout":A,"duration":3}'),
    *('{"try":A}', '{"try":A,"finally":A}', '{"compensate":A}', '{"undo":A}', '{"break":1}', '{"break":A}', '{"map":A,"body":A}'),
    *('{"if_rows":1,"then":A}', '{"sql":"x","policy":[]}', '{"http":"x"}', '{"multipart":[]}', '{"as":"x","body":A,"policy":{}}'),
    *('{"step":1,"body":A}', '{"step":"x"}', '[A]', '"A"', '{}', '{"sql":"x","http":{}}'),
)  # fmt: skip


STARTS_REFUSED = [
    *((node(body.replace("A", A)), "DF115") for body in UNMADE),
    *(
        (node(shape.replace("A", '{"step":"s","body":{"sql":"x"}}').replace("B", B)), "DF105")
        for shape in (
            '{"if":A,"then":A}',
            '{"if":B,"then":A,"else":A}',
            '{"loop":A,"while":A}',
            '{"try":A,"catch":B,"finally":A}',
            '{"race":[A,A]}',
            '{"timeout":A,"duration":[0,0,1],"else":A}',
            '{"compensate":A,"undo":A}',
            '{"atomic":{"chain":[A,{"retry":A,"policy":{"max_attempts":1}}]}}',
            '{"map":{"sql":"x"},"body":{"chain":[A,A]},"name":"i","max_parallel":1,"batch_size":1,"on_error":"fail"}',
            '{"parallel":[{"if_rows":"x","then":A},{"if_rows":"x","then":B,"else":A}]}',
        )
    ),
    (f"df.step('s', {a}) ~> df.step('s', {b})", "DF105"),
    (f"df.step('s', df.step('s', {a}))", "DF105"),
    (" & ".join([a] * 300), "DF511"),
    ("'word'", "DF112"),
    (f"{a} ~> {b} || ' x'", "DF115"),
    ("NULL", "DF116"),
    ("""'/*dfc:1:13*/{"frob":[1]}'||' '""", "DF115"),
    ("'/*dfc:1:12*/{\"frob\":[1]}'", "DF115"),
    ("'/*dfc:1:4*/nope'", "DF115"),
    ("'/*dfc:1:11*/{\"chain\":1}'", "DF115"),
]


@pytest.mark.parametrize(("expression", "code"), STARTS_REFUSED)
def test_start_refuses(session: Connection, expression: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT df.start({expression})".encode())
    assert caught.value.sqlstate == code
    assert caught.value.diag.message_hint
    assert value(session, "SELECT count(*) FROM df.instances") == 0


SHAPES = ("@> (%s)", "df.if('SELECT 1', 'SELECT 2', %s)", "df.if(%s, 'SELECT 1')", "df.try('SELECT 1', %s)",
          "df.try('SELECT 1', 'SELECT 1', %s)", "df.map('SELECT 1', %s)", "df.atomic(%s)", "df.retry(%s, 2)",
          "df.timeout('SELECT 1', 1, %s)", "df.compensate('SELECT 1', %s)", "df.compensate(%s, 'SELECT 1')",
          "df.if_rows('x', %s)", "df.loop('SELECT 1', %s)", "df.race(ARRAY[%s])", "df.step('s', %s)")  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_nesting_counts_every_shape(session: Connection, shape: str) -> None:
    deep = "(" + " & ".join([a] * 255) + ")"
    value(session, f"SELECT df.start({shape.replace('%s', deep)})")
    deeper = "(" + " & ".join([a] * 256) + ")"
    assert refusal(session, f"SELECT df.start({shape.replace('%s', deeper)})") == "DF511"


def test_nesting_up_to_the_limit(session: Connection) -> None:
    value(session, "SELECT df.start(" + " & ".join([a] * 256) + ")")
    assert refusal(session, "SELECT df.start(" + " & ".join([a] * 257) + ")") == "DF511"
