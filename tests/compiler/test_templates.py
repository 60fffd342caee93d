"""Texts with references become statements: analysed as any step is, and computed by a real PostgreSQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dfc.compiler.ast import Http, Piece, Text
from dfc.compiler.plan import Parameter, Part, Request, SqlBody
from dfc.compiler.span import Span
from dfc.compiler.sql.analysis import Analysis, analyse, literals_of
from dfc.compiler.templates import JSON_TYPE, request_statement, value_statement, with_requests_texts
from dfc.executor.bind import bind
from dfc.executor.journal import Result, Rows, Value
from dfc.executor.runners.http_request import JSON_TYPE as SENT_JSON_TYPE
from dfc.executor.runners.http_request import BadRequest, read
from dfc.executor.secret_text import fill, names_in
from dfc.executor.values import BIGINT, BOOL, NUMERIC, TEXT
from tests.depth import depth

BYTEA, JSON_OID, TIMESTAMPTZ, INT_ARRAY, FLOAT = 17, 114, 1184, 1007, 701
TYPES = {
    TEXT: "pg_catalog.text",
    BIGINT: "pg_catalog.int8",
    BOOL: "pg_catalog.bool",
    NUMERIC: "pg_catalog.numeric",
    BYTEA: "pg_catalog.bytea",
}

QUIRKY = "a \"b\" 'c' \\d\n{e}$f ü/😀?&#%+"
SOURCES: Mapping[str, Result] = {
    "x": Rows(
        columns=("text", "n", "nothing", "quirky", "yes", "bytes", "doc", "at", "list", "nan", "base"),
        types=(TEXT, BIGINT, TEXT, TEXT, BOOL, BYTEA, JSON_OID, TIMESTAMPTZ, INT_ARRAY, FLOAT, TEXT),
        cells=(
            *("one", "42", None, QUIRKY, "t", "\\x6869", '{"b": 1,  "a": [null]}', "2026-01-02 03:04:05+00"),
            *("{1,2}", "NaN", "https://h.example/api?q=1"),
        ),
        row_count=1,
    ),
    "rows": Rows(columns=("id", "r"), types=(BIGINT, TEXT), cells=("1", 'a"', "2", None), row_count=2),
    "none": Rows(columns=("id", "name"), types=(BIGINT, TEXT), cells=(), row_count=0),
    "value": Value(json='{"status": 200, "body": "hello", "headers": {"a": "b"}, "no": null}'),
    "word": Value(json='"just \\"text\\""'),
    "evil": Rows(
        columns=("c", "d"), types=(TEXT, TEXT), cells=("{secret:KEY}", "{secret::KEY}"), row_count=1
    ),
}


def known(name: str) -> bool:
    return name in SOURCES


@pytest.fixture(scope="module")
def connection(shared_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(shared_database, autocommit=True) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def analysed(statement: Text | None) -> Analysis:
    assert statement is not None
    found = analyse(statement)
    assert found.problems == (), (statement.value, found.problems)
    return found


def run(connection: psycopg.Connection[Any], statement: Text | None) -> Any:
    """The one value that a statement gives, its references bound as the executor does."""
    found = analysed(statement)
    references, literals = literals_of(found, SOURCES)
    assert literals == ()
    parameters = [
        Parameter(
            name=reference.name,
            source=reference.name,
            use=reference.use,
            start=reference.start,
            end=reference.end,
            column=reference.column,
            optional=reference.optional,
            aliased=reference.aliased,
        )
        for reference in references
    ]
    body = SqlBody(
        sql=found.sql,
        kind=found.kind,
        form=found.form,
        returns=found.returns,
        parameters=tuple(parameters),
        literals=literals,
    )
    bound = bind("test", body, SOURCES, TYPES)
    values = [None if value is None else value.encode() for value in bound.values]
    result = connection.pgconn.exec_params(bound.text.encode(), values, bound.types)
    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, (bound.text, result.error_message)
    assert (result.ntuples, result.nfields) == (1, 1)
    cell = result.get_value(0, 0)
    return None if cell is None else cell.decode()


def http(
    url: str = "http://h/",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    parts: list[dict[str, str]] | None = None,
) -> Http:
    return Http(
        url=Text(value=url),
        method=method,
        body=None if body is None else Text(value=body),
        headers=None if headers is None else json.dumps(headers),
        timeout_seconds=7,
        parts=None if parts is None else json.dumps(parts),
    )


def request(connection: psycopg.Connection[Any], tree: Http) -> Request:
    """The request that PostgreSQL makes of a template."""
    found = read(run(connection, request_statement(tree, known))).request
    assert (found.method, found.timeout_seconds) == (tree.method, 7)
    return found


def body_of(connection: psycopg.Connection[Any], body: str, **headers: str) -> str | None:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(connection, http(body=body, headers=given or None)).body


# What is no template


@pytest.mark.parametrize(
    "text", ["", "plain", "$", "$$", "$1", "$$1", "$unknown", "$$unknown", "a$ b", "$unknown.x?", "€$"]
)
def test_a_text_without_known_names_is_constant(text: str) -> None:
    assert request_statement(http(body=text, headers={"A": text}), known) is None
    assert request_statement(http(url=f"http://h/{text}"), known) is None
    assert request_statement(http(parts=[{"name": text, "data_b64": text}]), known) is None
    assert value_statement(Text(value=text), known) is None


def test_the_statement_is_an_http_step() -> None:
    found = analysed(request_statement(http("http://h/$x", "$x", {"a": "$x"}), known))
    assert found.http is not None and not found.http.many
    found = analysed(request_statement(http("http://h/$rows.*", "$rows.*"), known))
    assert found.http is not None and not found.http.many
    found = analysed(request_statement(http(parts=[{"name": "$x", "data_b64": "$rows.*"}]), known))
    assert found.http is not None and not found.http.many


def test_each_reference_stands_in_the_statement_once() -> None:
    tree = http("$x/$x.n/$x", '{"a": $x.doc, "b": "$x"}', {"a": "$x.text?"}, "PUT")
    names = [(r.name, r.column, r.optional) for r in analysed(request_statement(tree, known)).references]
    assert names == [
        *(("x", None, False), ("x", "n", False), ("x", None, False)),
        *(("x", "doc", False), ("x", None, False), ("x", "text", True)),
    ]


# Statements that compute a request


@pytest.mark.parametrize(
    ("sql", "url", "body", "headers"),
    [
        ("SELECT df.http('http://h/$x.quirky')", "http://h/" + quote(QUIRKY, safe=""), None, {}),
        ("SELECT df.http('$x.base')", "https://h.example/api?q=1", None, {}),
        (
            """SELECT df.http('http://h/', 'POST', '{"a": "$x.quirky", "b": $x.n}') r FROM (SELECT 1) q""",
            "http://h/",
            {"a": QUIRKY, "b": 42},
            {},
        ),
        (
            """SELECT df.http(url=>'http://h/', headers=>'{"A": "$x.quirky"}'::jsonb, body=>E'\\'$x')""",
            "http://h/",
            "'one",
            {"A": QUIRKY},
        ),
        (
            """SELECT df.http('http://h/' || $x, body=>'$x.n', headers:='{"Content-Type": "text/json"}')""",
            "http://h/one",
            42,
            {"Content-Type": "text/json"},
        ),
        ("SELECT df.http('http://h/$$x', body => $q$ $x $q$)", "http://h/$x", " $x ", {}),
    ],
)
def test_statements(
    connection: psycopg.Connection[Any], sql: str, url: str, body: object, headers: dict[str, str]
) -> None:
    piece = Piece(value_start=0, length=len(sql), source_start=0, source_end=len(sql))
    written = with_requests_texts(Text(value=sql, pieces=(piece,)), known)
    assert written is not None
    made = json.loads(run(connection, written).partition("*/")[2])["http"]
    found = made["body"]
    assert made["url"] == url
    assert (found if isinstance(body, str | None) else json.loads(found)) == body
    assert (made["headers"] or {}) == headers
    for reference in literals_of(analysed(written), SOURCES)[0]:
        place = written.locate(reference.start, reference.end)
        assert sql[place.start : place.end] == written.value[reference.start : reference.end]


def test_statements_without_texts_of_requests() -> None:
    for sql in (
        "SELECT df.http('http://h/')",
        "SELECT df.http($x)",
        "SELECT df.http('http://h/$unknown')",
        "SELECT '$x', df.http('http://h/$x')",
        "SELECT df.http_multipart('http://h/$x', parts => $x)",
        "SELECT 1",
    ):
        assert with_requests_texts(Text(value=sql), known) is None


# URLs


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("http://h/$x", "http://h/one"),
        ("http://h/$x/$x.n?a=$x.text&b=$x.yes#f", "http://h/one/42?a=one&b=true#f"),
        ("$x.base/$x", "https://h.example/api?q=1/one"),
        ("$x.base", "https://h.example/api?q=1"),
        ("http://h/$x$x.n$x", "http://h/one42one"),
        ("http://h/$x.nothing?/a", "http://h//a"),
        ("http://h/?a=$x.nothing?&b=1", "http://h/?a=&b=1"),
        ("http://h/?a=$x?b", "http://h/?a=one?b"),
        ("http://h/?a=$x?$x.n", "http://h/?a=one42"),
        ("http://h/$x?a=1", "http://h/one?a=1"),
        ("http://h/$x??a=1", "http://h/one?a=1"),
        ("http://h/$x.nothing??a=1", "http://h/?a=1"),
        ("http://h/$x?$x.n=1", "http://h/one?42=1"),
        ("http://h/$x.n?[a]=1", "http://h/42?[a]=1"),
        ("http://h/$x.nothing?", "http://h/"),
        ("http://h/$x?&", "http://h/one&"),
        ("http://h/$$x/$$unknown/$unknown/$x", "http://h/$x/$$unknown/$unknown/one"),
        ("http://h/$$x", "http://h/$x"),
        ("http://h/it's\\$x", "http://h/it's\\one"),
        ("http://h/$value.status/$value.body", "http://h/200/hello"),
        ("http://h/$word", "http://h/just%20%22text%22"),
        ("http://h/$x.at/$x.list", "http://h/2026-01-02T03%3A04%3A05%2B00%3A00/%5B1%2C2%5D"),
        ("http://h/$rows.row_count", "http://h/2"),
        ("http://h/$none.row_count", "http://h/0"),
        ("http://h/?r=$none.*", "http://h/?r=%5B%5D"),
        ("http://h/$evil.c", "http://h/%7Bsecret%3AKEY%7D"),
        ("http://h/{secret:KEY}/$x", "http://h/{secret:KEY}/one"),
    ],
)
def test_urls(connection: psycopg.Connection[Any], url: str, made: str) -> None:
    assert request(connection, http(url)).url == made


def test_a_url_is_percent_encoded_by_rfc_3986(connection: psycopg.Connection[Any]) -> None:
    found = urlsplit(request(connection, http("http://h/p/$x.quirky?k=$x.quirky")).url)
    assert (found.netloc, unquote(found.path), unquote(found.query)) == ("h", f"/p/{QUIRKY}", f"k={QUIRKY}")
    assert found.path.isascii() and "%0A" in found.path and "%F0%9F%98%80" in found.path


@pytest.mark.parametrize("value", ["", "AZaz09-._~", "é", "\u007f", "\u0080", "a\tb", "\U0010ffff"])
def test_url_part(connection: psycopg.Connection[Any], value: str) -> None:
    row = connection.execute("SELECT df._url_part(%s)", [value]).fetchone()
    assert row is not None and row[0] == quote(value, safe="")


# Bodies


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ('{"a": $x}', {"a": "one"}),
        ('{"a": $x.n, "b": $x.yes, "c": $x.doc, "d": $x.list}', ...),
        ('{"a": "$x", "b": "<$x.quirky>", "$x": "$x.n"}', {"a": "one", "b": f"<{QUIRKY}>", "one": "42"}),
        ('{"a": $x.nothing?, "b": "$x.nothing?"}', {"a": None, "b": ""}),
        ('{"a": "\\"$x\\"", "b": "\\\\$x"}', {"a": '"one"', "b": "\\one"}),
        ('{"a": "\\\\", "b": $x.quirky}', {"a": "\\", "b": QUIRKY}),
        ("[$x.n,$x.n]", [42, 42]),
        (" [$rows.*]", [[{"id": 1, "r": 'a"'}, {"id": 2, "r": None}]]),
        ('{"a": $rows.*, "b": $none.*, "c": "$none.*"}', ...),
        ('{"a": $value, "b": $value.headers, "c": $value.no?, "d": $word, "e": "$word"}', ...),
        ('{"a": "$$x $unknown $$unknown", "b": "it\'s"}', {"a": "$x $unknown $$unknown", "b": "it's"}),
        ('{"a": $x.at, "b": $x.nan, "c": "$x.bytes"}', ...),
    ],
)
def test_json_bodies(connection: psycopg.Connection[Any], body: str, made: Any) -> None:
    expected = {
        '{"a": $x.n,': {"a": 42, "b": True, "c": {"b": 1, "a": [None]}, "d": [1, 2]},
        '{"a": $rows': {"a": [{"id": 1, "r": 'a"'}, {"id": 2, "r": None}], "b": [], "c": "[]"},
        '{"a": $value': {
            "a": {"status": 200, "body": "hello", "headers": {"a": "b"}, "no": None},
            "b": {"a": "b"},
            "c": None,
            "d": 'just "text"',
            "e": 'just "text"',
        },
        '{"a": $x.at': {"a": "2026-01-02T03:04:05+00:00", "b": "NaN", "c": "\\x6869"},
    }
    if made is ...:
        [made] = [value for beginning, value in expected.items() if body.startswith(beginning)]
    assert json.loads(body_of(connection, body) or "") == made


def test_what_a_body_is(connection: psycopg.Connection[Any]) -> None:
    assert body_of(connection, "a=$x.quirky") == f"a={QUIRKY}"
    assert body_of(connection, '"$x.quirky"', Content_Type="application/json") == json.dumps(
        QUIRKY, ensure_ascii=False
    )
    assert body_of(connection, "$x", Content_Type="application/vnd.api+json; charset=utf-8") == '"one"'
    assert body_of(connection, '{"a": "$x.quirky"}', Content_Type="text/plain") == f'{{"a": "{QUIRKY}"}}'
    assert body_of(connection, "$x.n $x.doc") == '42 {"b": 1,  "a": [null]}'
    assert body_of(connection, "$rows.*") == '[{"id":1,"r":"a\\""}, {"id":2,"r":null}]'
    lines = body_of(connection, '{"a": $x}\n{"a": "$x.n"}\n', content_type="application/x-ndjson")
    assert [json.loads(line) for line in (lines or "").splitlines()] == [{"a": "one"}, {"a": "42"}]


def test_a_body_that_is_null_is_none(connection: psycopg.Connection[Any]) -> None:
    assert body_of(connection, "$x.nothing?") is None
    assert body_of(connection, "$x.nothing?", Content_Type="application/json") == "null"
    assert body_of(connection, " $x.nothing?") == " "
    assert body_of(connection, "$word") == 'just "text"'


@pytest.mark.parametrize("type_", ["application/json", "text/json;x=1", "a/b+json", "a/ndjson", "a/x-ndjson"])
def test_types_that_are_json(type_: str) -> None:
    assert JSON_TYPE.pattern == SENT_JSON_TYPE.pattern
    assert JSON_TYPE.fullmatch(type_.upper())
    for other in ("text/plain", "application/jsonp", "json", "application/x-www-form-urlencoded", "a/xjson"):
        assert JSON_TYPE.fullmatch(other) is None


# Headers and parts


def test_headers(connection: psycopg.Connection[Any]) -> None:
    given = {
        "A": "Bearer $x",
        "B": "$x.n",
        "C": "$x.nothing?",
        "D": "[$x.nothing?]",
        "E": 'it\'s "$word" \\',
        "F": "$unknown $$x",
        "$x": "constant",
        "G": "{secret:KEY} $evil.c",
    }
    found = dict(request(connection, http(headers=given)).headers) if "\n" not in QUIRKY else None
    assert found is None
    given["E"] = 'it\'s "$word" \\'
    found = dict(request(connection, http(headers=given)).headers)
    assert found == {
        "A": "Bearer one",
        "B": "42",
        "D": "[]",
        "E": 'it\'s "just "text"" \\',
        "F": "$unknown $x",
        "$x": "constant",
        "G": "{secret:KEY} {secret::KEY}",
    }


def test_control_characters_in_a_header_are_refused(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(BadRequest, match="header `E` contains control characters"):
        request(connection, http(headers={"E": "$x.quirky"}))


def test_parts(connection: psycopg.Connection[Any]) -> None:
    given = [
        {"name": "$x", "data_b64": "$x.bytes", "filename": "$x.quirky", "content_type": "$x"},
        {"name": "a $x b", "data_b64": "Y$x", "filename": "$x.nothing?"},
        {"name": "$$x", "data_b64": "aGk="},
    ]
    made = request(connection, http("http://h/$x", parts=given))
    assert made.url == "http://h/one"
    assert made.parts == (
        Part(name="one", data_b64="aGk=", filename=QUIRKY, content_type="$x"),
        Part(name="a one b", data_b64="Yone"),
        Part(name="$x", data_b64="aGk="),
    )
    constant = [{"name": "it's $$x\\", "data_b64": "", "content_type": "$x"}]
    made = request(connection, http("http://h/$x", parts=constant))
    assert made.parts == (Part(name="it's $x\\", data_b64="", content_type="$x"),)


# Values of breaks


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("$x", "one"),
        ("$x.n", 42),
        ("$x.doc", {"b": 1, "a": [None]}),
        ("$x.nothing?", None),
        ("$value.no?", None),
        ("$rows.*", [{"id": 1, "r": 'a"'}, {"id": 2, "r": None}]),
        ("$none.*", []),
        ("$rows.row_count", 2),
        ("$value", {"status": 200, "body": "hello", "headers": {"a": "b"}, "no": None}),
        ("$evil.c", "{secret:KEY}"),
        ("got $x.quirky", f"got {QUIRKY}"),
        ("got $x.nothing?", "got "),
        ("$x$x.n", "one42"),
        ("$x, $x", "one, one"),
        ("-$x.n", "-42"),
        ("[1 $x]", "[1 one]"),
        ("$$x", "$x"),
        ('{"a": "$x.quirky", "b": [$x.n, $x.nothing?]}', {"a": QUIRKY, "b": [42, None]}),
        ('"<$x.quirky>"', f"<{QUIRKY}>"),
        (' [ $x , "$evil.c" ] ', ["one", "{secret:KEY}"]),
        ('{"a": $x', '{"a": one'),
        ("[" * 1000 + "$x" + "]" * 1000, ...),
    ],
)
def test_values_of_breaks(connection: psycopg.Connection[Any], text: str, made: Any) -> None:
    found = run(connection, value_statement(Text(value=text), known))
    if made is ...:
        assert found == "[" * 1000 + '"one"' + "]" * 1000
    else:
        assert json.loads(found) == made


# Secrets, hostile texts, places


def test_data_names_no_secret(connection: psycopg.Connection[Any]) -> None:
    tree = http(
        "$evil.d/x", '{"a": "$evil.c", "b": $evil.d, "c": {"$evil.c": "{secret:KEY}"}}', {"A": "$evil.c"}
    )
    # A URL of data that is no URL is refused before it is sent.
    found = request(connection, replace(tree, url=Text(value="http://h/$x")))
    sent = json.loads(fill(found.body or "", {"KEY": "s"}))
    assert sent == {"a": "{secret:KEY}", "b": "{secret::KEY}", "c": {"{secret:KEY}": "s"}}
    assert fill(dict(found.headers)["A"], {"KEY": "s"}) == "{secret:KEY}"
    statement = request_statement(tree, known)
    assert statement is not None and names_in(statement.value) == {"KEY"}


ODD = st.lists(
    st.sampled_from(
        ["$x", "$x.n", "$x?", "$$x", "$rows.*", "$unknown", "$1", "$tag$", "E'", "--", *"$'\"\\{}[]:,"]
    )
    | st.sampled_from(["/*", "*/", "null", "$$", *"?.é😀1;% \n"]),
    max_size=12,
).map("".join)
LONGER_NAME = re.compile(r"\$x(?:\.n)?[\w😀]|\$x\.(?!n)[^\W\d]")


@settings(max_examples=depth(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(url=ODD, body=ODD, header=ODD, part=ODD)
def test_no_text_breaks_the_statement(
    connection: psycopg.Connection[Any], url: str, body: str, header: str, part: str
) -> None:
    """Whatever the text is, the statement is one call whose other arguments are what they were."""
    assume(not any(map(LONGER_NAME.search, (url, body, header, part))))
    for tree in (
        http(f"http://h/{url}", body, {"A": header, "B": "b"}),
        http(f"http://h/{url}", None, {"A": header}, "PUT", [{"name": f"a{part}", "data_b64": "$x.bytes"}]),
    ):
        statement = request_statement(tree, known)
        if statement is None:
            continue
        assert analysed(statement).http is not None
        text = run(connection, statement)
        [made] = json.loads(text.partition("*/")[2]).values()
        assert (made["method"], made["timeout_seconds"]) == (tree.method, 7)
        if "rows" not in header:
            filled = re.sub(r"\$(\$x)|\$x(?:\.n)?(?:\?(?![A-Za-z0-9_]))?", _one, header)
            assert made["headers"]["A"] == filled
    value = value_statement(Text(value=body), known)
    if value is not None:
        json.loads(run(connection, value))


def _one(found: re.Match[str]) -> str:
    return found[1] or ("42" if ".n" in found[0] else "one")


def test_standard_conforming_strings_does_not_matter(connection: psycopg.Connection[Any]) -> None:
    tree = http("http://h/\\a'\\'$x", "\\n'\\\\ $x", {"A": "\\t $x"})
    expected = request(connection, tree)
    assert expected.url == "http://h/\\a'\\'one"
    version = connection.info.server_version
    if version < 190000:
        connection.execute("SET standard_conforming_strings = off")
        connection.execute("SET escape_string_warning = off")
        try:
            assert request(connection, tree) == expected
        finally:
            connection.execute("RESET standard_conforming_strings")


def test_a_long_template(connection: psycopg.Connection[Any]) -> None:
    body = "[" + ", ".join(['{"a": "$x", "b": $x.n}'] * 5000) + "]"
    assert json.loads(body_of(connection, body) or "") == [{"a": "one", "b": 42}] * 5000


def test_places_in_the_source() -> None:
    """References, and what stands between them, are found where they stand in the file."""
    source = "df.http('http://h/''q''/$x?a=$nope', body => E'\\\\t$x.n?')"
    url = _text(source, source.index("http:"), source.index("', body"))
    body = _text(source, source.index("\\\\t"), source.index("')"))
    tree = Http(url=url, method="GET", body=body, headers=None, timeout_seconds=1, span=Span(0, len(source)))
    found = analysed(request_statement(tree, known))
    references, _ = literals_of(found, {*SOURCES, "nope"})
    places = [found.text.locate(reference.start, reference.end) for reference in references]
    assert [source[place.start : place.end] for place in places] == ["$x", "$nope", "$x.n?"]
    assert [reference.literal for reference in references] == [False, True, False]
    quote = found.sql.index("q")
    place = found.text.locate(quote, quote + 1)
    assert source[place.start : place.end] == "q"
    made_up = found.text.locate(0, 6)
    assert made_up.start == 0


def _text(source: str, start: int, end: int) -> Text:
    """The text of a constant: `''` and `\\\\` are one character each."""
    pieces: list[Piece] = []
    value = ""
    position = start
    while position < end:
        length = 2 if source[position : position + 2] in ("''", "\\\\") else 1
        pieces.append(
            Piece(value_start=len(value), length=1, source_start=position, source_end=position + length)
        )
        value += source[position]
        position += length
    return Text(value=value, span=Span(start, end), pieces=tuple(pieces))
