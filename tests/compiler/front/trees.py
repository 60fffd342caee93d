"""Random expression trees, with the texts that break things."""

from __future__ import annotations

from hypothesis import strategies as st

from dfc.compiler.ast import Bind, Chain, Expression, FanOut, Http, Join, Sql, Step, Text
from dfc.compiler.json_text import quote_json, read_json, write_jsonb
from dfc.compiler.names import RESERVED, is_blank, is_reference

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: name not in RESERVED
)
hostile = st.one_of(
    st.sampled_from(
        [
            "SELECT 1",
            "CHECKPOINT",
            "größe",
            "a$b",
            "SELECT $$x$$, $sql$y$sql$, $dfc$z$dfc$, 'q'",
            "SELECT 'it''s' $",
            "it's $sql",
            "'",
            "\\",
            "E'\\n'",
            "$x.c > 1",
            "-- c\n;",
            "/* open",
            "/*dfc:",
            "\t\r\n x",
            "\x01\x7f\u2028😀",
            '"q"',
            "SELECT ':=' => 'x'",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12),
    st.text("'$sqldfc\\ a\n\"", min_size=1, max_size=12),
)
queries = hostile.filter(lambda t: not is_blank(t) and not is_reference(t) and "/*dfc:1:" not in t)


def _headers(pairs: dict[str, str]) -> str:
    inside = ",".join(f"{quote_json(key)}:{quote_json(value)}" for key, value in pairs.items())
    return write_jsonb(read_json(f"{{{inside}}}"))


def _http(url: str, method: str, body: str | None, headers: str | None, seconds: int) -> Expression:
    return Http(
        url=Text(value=f"https://{url}"),
        method=method,
        body=None if body is None else Text(value=body),
        headers=headers,
        timeout_seconds=seconds,
    )


def _sql(query: str) -> Expression:
    return Sql(query=Text(value=query))


def _step(name: str, body: Expression) -> Expression:
    return Step(name=Text(value=name), body=body)


def _bind(name: str, body: Expression) -> Expression:
    return Bind(name=Text(value=name), body=body)


sql = st.builds(_sql, queries)
http = st.builds(
    _http,
    hostile,
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    st.none() | hostile,
    st.none() | st.dictionaries(hostile, hostile, max_size=3).map(_headers),
    st.integers(1, 2**31 - 1),
)


def _flat(items: list[Expression]) -> Chain:
    flat = [link for item in items for link in (item.items if isinstance(item, Chain) else (item,))]
    return Chain(items=tuple(flat))


def _grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        st.builds(_step, names, inner),
        st.builds(_bind, names, inner),
        st.lists(inner, min_size=2, max_size=4).map(_flat),
        several.map(lambda b: Join(branches=tuple(b))),
        several.map(lambda b: FanOut(branches=tuple(b))),
    )


trees: st.SearchStrategy[Expression] = st.recursive(sql | http, _grown, max_leaves=12)
