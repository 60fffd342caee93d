"""Values of every type of PostgreSQL's that a result can have, as expressions, for hypothesis."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from hypothesis import strategies as st

SETUP = """
CREATE SCHEMA "Odd Schema";
CREATE TYPE mood AS ENUM ('calm', 'wild', 'it''s', '{', '"', 'a,b', '$x', '');
CREATE TYPE "Odd Schema"."Odd "" Type" AS ENUM ('a b', 'C');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(12) CHECK (VALUE <> 'bad');
CREATE DOMAIN ints AS int[] CHECK (cardinality(VALUE) < 5);
CREATE TYPE pair AS (a int, b text, c mood);
CREATE TYPE nest AS (p pair, q int[], r pair[], s positive);
CREATE DOMAIN good_pair AS pair;
CREATE TYPE empty_one AS ();
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE TABLE a_table (id int, "Name" text);
"""


@dataclass(frozen=True)
class Typed:
    """An expression and the type that it has."""

    sql: str
    type: str


def quoted(text: str) -> str:
    """A literal, written in another way than the executor writes it."""
    return " U&'" + "".join(f"\\+{ord(character):06x}" for character in text) + "'"


HOSTILE = (
    "$x",
    "$$x",
    "{x}",
    "{sys_instance_id}",
    "'; DROP TABLE a_table; --",
    "\\'; SELECT 1; --",
    "$1",
    "$q$",
    "NULL",
    "",
    " ",
    "a\nb\r\n\tc",
    '"',
    "\\",
    "\\\\x41",
    "{a,b}",
    "(1,2)",
    "%s %I",
    "é漢🐘\u00a0\u2028",
    "/* c */ -- d",
)
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12),
    st.text(st.sampled_from("'\"\\${},() x\n"), max_size=12),
)
_WORD = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=8)
_INT4 = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([0, 1, -1]))
_INT8 = st.integers(-(2**63), 2**63 - 1)
_FLOAT = st.one_of(
    st.sampled_from(["NaN", "Infinity", "-Infinity", "-0", "0", "1e-300", "1e300"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
_FLOAT4 = st.one_of(
    st.sampled_from(["NaN", "Infinity", "-Infinity", "-0"]),
    st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False).map(repr),
)
_DIGITS = st.text("0123456789", min_size=1, max_size=100)
_NUMERIC = st.one_of(
    st.sampled_from(["NaN", "Infinity", "-Infinity", "0", "0.00", "-0.0", "1e-100", "1e100"]),
    st.tuples(st.sampled_from(["", "-"]), _DIGITS, st.just("."), _DIGITS).map("".join),
)
_FINITE = st.floats(-1e6, 1e6).map(repr)
_POINT = st.tuples(_FINITE, _FINITE).map(lambda pair: f"({pair[0]},{pair[1]})")
_DATE = st.one_of(
    st.sampled_from(
        ["infinity", "-infinity", "0044-03-15 BC", "4713-01-01 BC", "5874897-12-31", "2000-02-29"]
    ),
    st.dates().map(str),
)
_CLOCK = st.one_of(st.sampled_from(["24:00:00", "00:00:00", "23:59:59.999999"]), st.times().map(str))
_STAMP = st.one_of(
    st.sampled_from(["infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"]),
    st.datetimes().map(str),
)
_INTERVAL = st.tuples(
    st.integers(-(10**6), 10**6),
    st.integers(-(10**6), 10**6),
    st.integers(-(10**15), 10**15),
).map(lambda parts: f"{parts[0]} mons {parts[1]} days {parts[2]} microseconds")
_BITS = st.text("01", min_size=0, max_size=20)
_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6),
        st.sampled_from(HOSTILE),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab$'\"", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value, ensure_ascii=False))
_JSON_TEXT = st.one_of(
    _JSON,
    st.sampled_from(['{"a" : 1,  "a":2}', " null ", "[1.10,\n1E5]", '"\\u00e9\\n"', '{"$x": "$x"}', "[]"]),
)
_ADDRESS = st.one_of(st.ip_addresses().map(str), st.ip_addresses(v=4).map(lambda a: f"{a}/8"))
_NETWORK = st.one_of(st.sampled_from(["10.0.0.0/8", "::/0", "2001:db8::/32"]), st.ip_addresses().map(str))
_BYTES = st.binary(max_size=12).map(lambda data: "\\x" + data.hex())
_HEX = "0123456789abcdef"
_MAC = st.text(_HEX, min_size=12, max_size=12)
_LSN = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)).map(
    lambda pair: f"{pair[0]:X}/{pair[1]:X}"
)


def _bounds(opening: str, low: int | None, high: int | None, closing: str) -> tuple[str, str]:
    return f"{opening}{'' if low is None else low}", f"{'' if high is None else high}{closing}"


_INT_BOUNDS = st.one_of(
    st.just("empty"),
    st.tuples(
        st.sampled_from("[("),
        st.none() | st.integers(-1000, 0),
        st.none() | st.integers(0, 1000),
        st.sampled_from("])"),
    ).map(lambda parts: ",".join(_bounds(*parts))),
)
_MULTI = st.lists(st.integers(0, 50), max_size=3).map(
    lambda starts: "{" + ",".join(f"[{s * 10},{s * 10 + 5})" for s in starts) + "}"
)

TEXTS: dict[str, st.SearchStrategy[str]] = {
    "bool": st.sampled_from(["t", "f"]),
    "int2": st.integers(-(2**15), 2**15 - 1).map(str),
    "int4": _INT4.map(str),
    "int8": _INT8.map(str),
    "float4": _FLOAT4,
    "float8": _FLOAT,
    "numeric": _NUMERIC,
    "text": TEXT,
    "varchar": TEXT,
    "bpchar": TEXT.map(lambda text: text + "  "),
    "char(12)": TEXT.map(lambda text: text[:12]),
    "name": TEXT.map(lambda text: text[:15]),
    '"char"': st.sampled_from(["", "a", "'", "\\", "é", " "]),
    "bytea": _BYTES,
    "uuid": st.uuids().map(str),
    "json": _JSON_TEXT,
    "jsonb": _JSON_TEXT,
    "jsonpath": st.sampled_from(["$.a", "$.a[*] ? (@ > $min)", 'strict $."b c"', "$"]),
    "date": _DATE,
    "time": _CLOCK,
    "timetz": st.tuples(_CLOCK, st.sampled_from(["+00", "+05:30", "-15:59"])).map("".join),
    "timestamp": _STAMP,
    "timestamptz": _STAMP,
    "interval": st.one_of(_INTERVAL, st.sampled_from(["1 mon -1 day", "-00:00:01", "0"])),
    "inet": _ADDRESS,
    "cidr": _NETWORK,
    "macaddr": _MAC,
    "macaddr8": st.text(_HEX, min_size=16, max_size=16),
    "bit(8)": st.text("01", min_size=8, max_size=8),
    "varbit": _BITS,
    "point": _POINT,
    "lseg": st.tuples(_POINT, _POINT).map(lambda pair: f"[{pair[0]},{pair[1]}]"),
    "box": st.tuples(_POINT, _POINT).map(",".join),
    "path": st.tuples(_POINT, _POINT).map(lambda pair: f"[{pair[0]},{pair[1]}]"),
    "polygon": st.tuples(_POINT, _POINT).map(lambda pair: f"({pair[0]},{pair[1]})"),
    "circle": _POINT.map(lambda center: f"<{center},7>"),
    "line": _FINITE.map(lambda slope: f"{{1,{slope},2}}"),
    "int4range": _INT_BOUNDS,
    "int8range": _INT_BOUNDS,
    "numrange": _INT_BOUNDS,
    "float_range": _INT_BOUNDS,
    "daterange": st.dates().map(lambda day: f"[{day},infinity)"),
    "tstzrange": st.datetimes().map(lambda moment: f'["{moment}",)'),
    "int4multirange": _MULTI,
    "nummultirange": _MULTI,
    "tsvector": st.sampled_from(["a:1A,2 b:3", "'it''s' x", "", "'a b':4"]),
    "tsquery": st.sampled_from(["a & !b", "'it''s' | c:*A", "", "a <2> b"]),
    "oid": st.integers(0, 2**32 - 1).map(str),
    "regclass": st.sampled_from(["pg_class", "a_table", "df.instances", "4294967295", "-"]),
    "regtype": st.sampled_from(["int4", "mood[]", '"Odd Schema"."Odd "" Type"', "timestamptz"]),
    "regproc": st.sampled_from(["now", "pg_sleep"]),
    "regprocedure": st.sampled_from(["abs(int)", "now()"]),
    "regnamespace": st.sampled_from(["public", '"Odd Schema"']),
    "money": st.integers(-(10**6), 10**6).map(lambda cents: f"{cents / 100:.2f}"),
    "pg_lsn": _LSN,
    "txid_snapshot": st.sampled_from(["10:20:10,14,15", "1:1:"]),
    "pg_snapshot": st.sampled_from(["10:20:10,14,15", "1:1:"]),
    "xid": st.integers(0, 2**32 - 1).map(str),
    "xid8": st.integers(0, 2**60).map(str),
    "cid": st.integers(0, 2**32 - 1).map(str),
    "tid": st.tuples(st.integers(0, 999), st.integers(0, 999)).map(str),
    "int2vector": st.lists(st.integers(0, 9), max_size=3).map(lambda ints: " ".join(map(str, ints))),
    "oidvector": st.lists(st.integers(0, 9), max_size=3).map(lambda ints: " ".join(map(str, ints))),
    "refcursor": TEXT,
    "mood": st.sampled_from(["calm", "wild", "it's", "{", '"', "a,b", "$x", ""]),
    '"Odd Schema"."Odd "" Type"': st.sampled_from(["a b", "C"]),
    "positive": st.integers(1, 2**31 - 1).map(str),
    "code": TEXT.map(lambda text: text[:12]),
    "vector": st.lists(st.floats(-100, 100, width=16).map(repr), min_size=1, max_size=3).map(
        lambda numbers: "[" + ",".join(numbers) + "]"
    ),
    "xml": st.sampled_from(["<a/>", "<a b='c'>d &amp; e</a>", "text", "<a/><b/>", ""]),
    "hstore": st.sampled_from(["a=>1", '"a b"=>"c\'d", e=>NULL', ""]),
    "citext": TEXT,
    "ltree": st.sampled_from(["a.b.c", "Top.$x".replace("$", ""), ""]),
    "cube": st.sampled_from(["(1,2),(3,4)", "1"]),
    "seg": st.sampled_from(["1 .. 2", "<3"]),
    "isbn": st.sampled_from(["978-0-393-04002-9"]),
}
"""Texts of values, by type; the last ones are there where an extension is."""

_NO_ARRAY = frozenset({"int2vector", "oidvector"})


def values(types: Iterable[str]) -> st.SearchStrategy[Typed]:
    """Expressions of these types, of arrays and composites of them, and of NULL."""
    names = sorted(types)
    scalars = st.sampled_from(names).flatmap(_scalar)
    return st.one_of(scalars, scalars, _arrays(names), _composites(), _of_domains())


def _scalar(name: str) -> st.SearchStrategy[Typed]:
    texts = TEXTS[name].map(lambda text: Typed(f"{quoted(text)}::{name}", name))
    return st.one_of(texts, texts, texts, texts, st.just(Typed(f"NULL::{name}", name)))


def _arrays(names: list[str]) -> st.SearchStrategy[Typed]:
    def of(name: str) -> st.SearchStrategy[Typed]:
        kind = f"{name}[]"
        flat = st.lists(_scalar(name).map(lambda one: one.sql), max_size=3).map(
            lambda items: f"ARRAY[{', '.join(items)}]::{kind}"
        )
        return st.one_of(
            flat,
            st.lists(_scalar(name), min_size=2, max_size=2).map(
                lambda pair: f"ARRAY[[{pair[0].sql}, {pair[1].sql}], [{pair[1].sql}, NULL]]::{kind}"
            ),
            TEXTS[name].map(lambda text: f"array_fill({quoted(text)}::{name}, '{{2}}', '{{-3}}')"),
            st.just(f"'{{}}'::{kind}"),
            st.just(f"NULL::{kind}"),
        ).map(lambda sql: Typed(sql, kind))

    return st.sampled_from([name for name in names if name not in _NO_ARRAY]).flatmap(of)


def _pairs() -> st.SearchStrategy[str]:
    fields = st.tuples(_scalar("int4"), _scalar("text"), _scalar("mood"))
    return st.one_of(
        fields.map(lambda row: f"ROW({row[0].sql}, {row[1].sql}, {row[2].sql})::pair"),
        st.just("ROW(NULL, NULL, NULL)::pair"),
        st.just("NULL::pair"),
    )


def _composites() -> st.SearchStrategy[Typed]:
    others = st.lists(_pairs(), max_size=2).map(", ".join)
    nested = st.tuples(_pairs(), others, st.sampled_from(["1", "NULL"])).map(
        lambda parts: f"ROW({parts[0]}, '{{1,NULL}}', ARRAY[{parts[1]}]::pair[], {parts[2]})::nest"
    )
    return st.one_of(
        _pairs().map(lambda sql: Typed(sql, "pair")),
        nested.map(lambda sql: Typed(sql, "nest")),
        st.lists(nested, min_size=1, max_size=2).map(
            lambda rows: Typed(f"ARRAY[{', '.join(rows)}]", "nest[]")
        ),
        st.just(Typed("ROW()::empty_one", "empty_one")),
        st.just(Typed("ROW(1, NULL)::a_table", "a_table")),
        st.just(Typed("ROW(1, 'x')", "record")),
        st.just(Typed("NULL::nest", "nest")),
    )


def _of_domains() -> st.SearchStrategy[Typed]:
    return st.sampled_from(
        [
            Typed("ARRAY[1, 2]::ints", "ints"),
            Typed("'{}'::ints", "ints"),
            Typed("NULL::ints", "ints"),
            Typed("ARRAY['{1,2}'::ints]", "ints[]"),
            Typed("ARRAY[1, NULL]::positive[]", "positive[]"),
            Typed("ROW(1, '$x', 'it''s')::good_pair", "good_pair"),
            Typed("NULL::good_pair", "good_pair"),
        ]
    )


def present(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """The types that this server has values of, after making the extensions that it has."""
    for name in ("vector", "hstore", "citext", "ltree", "cube", "seg", "isn"):
        found = connection.execute(
            "SELECT count(*) FROM pg_available_extensions WHERE name = %s", [name]
        ).fetchone()
        if found is not None and found[0]:
            connection.execute(f"CREATE EXTENSION {name}".encode())
    kept: list[str] = []
    for name in TEXTS:
        sample = "<a/>" if name == "xml" else None
        try:
            connection.execute(f"SELECT {'NULL' if sample is None else quoted(sample)}::{name}".encode())
        except psycopg.Error:
            continue
        kept.append(name)
    return kept
