"""Constant texts of requests and breaks with references in them become a statement that computes them.

So PostgreSQL computes the text, once, in the submitter's session, from typed parameters like those of any
other step. What a reference becomes depends on where it stands (docs/reference/http.md):

- at the beginning of a URL the value as it is, later percent-encoded;
- in JSON a JSON value, in a string of JSON its text, escaped;
- in any other text, in header values, and in names and data of parts, its text.

What is one optional reference and nothing else is left out when that is NULL: a body that is not JSON, a
header, a filename. In JSON a NULL value is null, in a longer text NULL is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dfc.compiler.ast import Http, Text
from dfc.compiler.fragments import NULL, Fragment, called, concatenated, copied, joined, listed, literal
from dfc.compiler.json_text import Json, JsonArray, JsonFault, JsonObject, quote_json, read_json, write_jsonb
from dfc.compiler.span import Span
from dfc.compiler.sql.http_arguments import literal_arguments
from dfc.compiler.strings import quoted
from dfc.grammar.lexer import IN_TEXT, reference_of

Known = Callable[[str], bool]
"""Whether a name is one that references may have. In a text an unknown one stays text."""

# The same in executor/runners/http_request.py; a test compares them.
JSON_TYPE = re.compile(
    r"\s*[^\s/;]+/(?:x-)?(?:[^\s;+]+\+)?(?:json|ndjson|jsonl|json-seq)\s*(?:;.*)?", re.IGNORECASE | re.DOTALL
)
_NESTING_MAX = 6_400
_TEMPLATES_OF_A_PART = frozenset({"name", "filename", "data_b64"})
# What begins a query besides letters and digits, behind which no text has an optional reference (IN_TEXT).
_BEGINS_A_QUERY = re.compile(r"[%$\[{]")
_IN_JSON = re.compile(r'\\.|"', re.DOTALL)


def request_statement(tree: Http, known: Known) -> Text | None:
    """The statement that computes a request; None where nothing in it refers to anything."""
    headers = _headers(tree)
    arguments = [("url", _url(tree.url, known))]
    arguments.append(("method", Fragment(quoted(tree.method))))
    if tree.parts is None:
        is_json = _is_json(headers, tree.body)
        arguments.append(("body", NULL if tree.body is None else _body(tree.body, known, is_json=is_json)))
    else:
        arguments.append(("parts", _parts(tree.parts, known)))
    arguments.append(
        ("headers", NULL if tree.headers is None else _headers_value(headers, tree.headers, known))
    )
    arguments.append(("timeout_seconds", Fragment(str(tree.timeout_seconds))))
    if not any(argument.computed for _, argument in arguments):
        return None
    written = [joined((Fragment(f"{name} => "), argument)) for name, argument in arguments]
    call = "df.http" if tree.parts is None else "df.http_multipart"
    return joined((Fragment(f"SELECT {call}("), listed(written), Fragment(")"))).text(tree.span)


def with_requests_texts(statement: Text, known: Known) -> Text | None:
    """A statement whose select list is one `df.http(...)`, with the texts of the request computed.

    A literal that is an argument is what the same text would be in a request of its own. None where no such
    literal refers to anything.
    """
    arguments = {one.name: one for one in literal_arguments(statement)}
    given = arguments.get("headers")
    headers = [] if given is None else _pairs(given.text.value)
    body = arguments.get("body")
    is_json = _is_json(headers, None if body is None else body.text)
    parts: list[Fragment] = []
    position = 0
    for one in sorted(arguments.values(), key=lambda one: one.start):
        if one.name not in ("url", "body", "headers") or not _refers(_split(one.text, known)):
            continue
        if one.name == "url":
            written = _url(one.text, known)
        else:
            written = _body(one.text, known, is_json=is_json or one.name == "headers")
        kind = "::pg_catalog.jsonb" if one.name == "headers" and not one.cast else ""
        parts += (copied(statement, position, one.start), written, Fragment(kind))
        position = one.end
    if not parts:
        return None
    return joined((*parts, copied(statement, position, len(statement.value)))).text(statement.span)


def value_statement(text: Text, known: Known) -> Text | None:
    """The statement whose one json column `value` is the value of a break; None where it refers to nothing.

    JSON stays JSON, one reference alone is its value, anything else a JSON string.
    """
    runs = _split(text, known)
    if not _refers(runs):
        return None
    if _is_lone(runs):
        value = _json_of(runs[0])
    elif _is_json_text(runs):
        value = concatenated(_in_json(runs, _json_of, _text_of))
    else:
        value = called("df._json_text", concatenated(_in_text(runs, _text_of)))
    return joined((Fragment("SELECT "), value, Fragment("::pg_catalog.json AS value"))).text(text.span)


def wait_statement(function: str, text: Text) -> Text:
    """The statement that computes what something waits for: `function` of the text, with its references.

    Each word behind a `$` is a reference there: nothing else could be meant.
    """
    computed = concatenated(_in_text(_split(text, _every), _text_of))
    return joined((Fragment("SELECT "), called(function, computed), Fragment(" AS value"))).text(text.span)


def input_statement(written: str, span: Span, known: Known) -> Text | None:
    """The statement whose one jsonb column is a JSON text with references in its strings.

    A string that is one reference is its value, in any other string a reference is text. None where the text
    refers to nothing.
    """
    elements: list[Fragment] = []
    constant: list[str] = []
    for part in _pieces_of_json(read_json(written, _NESTING_MAX)):
        runs = None if isinstance(part, str) else _of(part[0], known)
        if runs is None or not _refers(runs):
            constant.append(part if isinstance(part, str) else quote_json(part[0]))
            continue
        elements += _constant("".join(constant), known) if constant else ()
        constant.clear()
        elements.append(
            _json_of(runs[0])
            if _is_lone(runs)
            else called("df._json_text", concatenated(_in_text(runs, _text_of)))
        )
    if not elements:
        return None
    elements += _constant("".join(constant), known) if constant else ()
    value = concatenated(elements)
    return joined((Fragment("SELECT ("), value, Fragment(")::pg_catalog.jsonb AS value"))).text(span)


def _pieces_of_json(document: Json) -> Iterator[str | tuple[str]]:
    """A JSON text in pieces, in order: what stands for itself, and its strings (no keys) as tuples."""
    todo: list[Json | _Finished] = [document]
    while todo:
        match todo.pop():
            case _Finished(text=text):
                yield text
            case str() as text:
                yield (text,)
            case JsonObject(pairs=pairs):
                todo.append(_Finished("}"))
                for number in range(len(pairs) - 1, -1, -1):
                    key, value = pairs[number]
                    todo += (value, _Finished(f"{', ' if number else ''}{quote_json(key)}: "))
                todo.append(_Finished("{"))
            case JsonArray(items=items):
                todo.append(_Finished("]"))
                for number in range(len(items) - 1, -1, -1):
                    todo += (items[number], *([_Finished(", ")] if number else []))
                todo.append(_Finished("["))
            case scalar:
                yield write_jsonb(scalar)


@dataclass(frozen=True, slots=True)
class _Finished:
    """A piece of JSON text that is finished."""

    text: str


def _every(name: str) -> bool:
    del name
    return True


# Constants


def _constant(value: str, known: Known) -> list[Fragment]:
    """A text that is no template as literals; cut where one would refer to something."""
    cuts = [
        found.start() + 1 for found in IN_TEXT.finditer(value) if known(found["escaped"] or found["name"])
    ]
    ends = [*cuts, len(value)]
    return [Fragment(quoted(value[start:end])) for start, end in zip([0, *cuts], ends, strict=True)]


def _json_constant(value: str, known: Known) -> Fragment:
    """A JSON text that is no template, as jsonb."""
    text = concatenated(_constant(value, known))
    return Fragment(f"{text.value}::pg_catalog.jsonb")


# Texts and what they refer to


@dataclass(frozen=True, slots=True)
class _Run:
    """`text[start:end]`: a reference, or text between references (`is_rows` is None)."""

    text: Text
    start: int
    end: int
    is_rows: bool | None = None

    @property
    def refers(self) -> bool:
        """Whether it is a reference."""
        return self.is_rows is not None

    @property
    def value(self) -> str:
        """What is written there."""
        return self.text.value[self.start : self.end]


def _split(text: Text, known: Known, *, is_url: bool = False) -> list[_Run]:
    """A text, cut into references and what is between them.

    `$$name` becomes two runs that are cut in the middle: `$` and what is behind the second `$`. In a URL the
    first `?` begins the query also in front of a reference.
    """
    value = text.value
    runs: list[_Run] = []
    asked = False
    begin = 0
    for found in IN_TEXT.finditer(value):
        start, end = found.span()
        if not known(found["escaped"] or found["name"]):
            continue
        if found["escaped"]:
            runs.append(_Run(text, begin, start + 1))
            begin = start + 2
            continue
        asked = asked or "?" in value[begin:start] or "#" in value[begin:start]
        if is_url and not asked and value[end - 1] == "?" and _BEGINS_A_QUERY.match(value, end):
            end -= 1
        if begin < start:
            runs.append(_Run(text, begin, start))
        runs.append(_Run(text, start, end, reference_of(value[start:end]).rows))
        begin = end
    if begin < len(value) or not runs:
        runs.append(_Run(text, begin, len(value)))
    return runs


def _refers(runs: Sequence[_Run]) -> bool:
    """Whether a text is more than a constant: it refers to something, or has `$$name` in it."""
    return len(runs) > 1 or runs[0].refers


def _is_lone(runs: Sequence[_Run]) -> bool:
    return len(runs) == 1 and runs[0].refers


def _in_text(runs: Sequence[_Run], write: Callable[[_Run], Fragment]) -> list[Fragment]:
    """The elements of a text; `write` says what a reference becomes."""
    return [write(run) if run.refers else literal(run.text, run.start, run.end) for run in runs]


def _in_json(
    runs: Sequence[_Run], write: Callable[[_Run], Fragment], write_text: Callable[[_Run], Fragment]
) -> list[Fragment]:
    """The elements of a JSON text; inside of a string a reference is escaped text."""

    def written(run: _Run, inside: bool) -> Fragment:
        return called("df._json_inside", write_text(run)) if inside else write(run)

    return [
        written(run, inside) if run.refers else literal(run.text, run.start, run.end)
        for run, inside in _with_strings(runs)
    ]


def _with_strings(runs: Sequence[_Run]) -> list[tuple[_Run, bool]]:
    """The runs of a JSON text, each with whether it begins inside of a string."""
    found: list[tuple[_Run, bool]] = []
    inside = False
    for run in runs:
        found.append((run, inside))
        if not run.refers:
            for match in _IN_JSON.finditer(run.text.value, run.start, run.end):
                inside ^= match[0] == '"'
    return found


def _is_json_text(runs: Sequence[_Run]) -> bool:
    """Whether a text is JSON once its references have values."""
    skeleton = [
        ("" if inside else "null") if run.refers else run.value for run, inside in _with_strings(runs)
    ]
    try:
        read_json("".join(skeleton), _NESTING_MAX)
    except JsonFault:
        return False
    return True


# What a reference becomes


def _reference(run: _Run) -> Fragment:
    return replace(copied(run.text, run.start, run.end), computed=True)


def _json_of(run: _Run) -> Fragment:
    """The value as JSON text."""
    if run.is_rows:
        rows = (
            "(SELECT df._rows_part(pg_catalog.array_agg(pg_catalog.row_to_json(r.*)::pg_catalog.text)) FROM "
        )
        return joined((Fragment(rows), _reference(run), Fragment(" AS r)")))
    return called("df._json_part", called("pg_catalog.json_build_array", _reference(run)))


def _text_of(run: _Run) -> Fragment:
    """The value as text."""
    if run.is_rows:
        return _json_of(run)
    return called("df._text_part", called("pg_catalog.json_build_array", _reference(run)))


def _data_json(run: _Run) -> Fragment:
    """The value as JSON text, in a request."""
    return called("df._no_secret", _json_of(run))


def _data_text(run: _Run) -> Fragment:
    """The value as text, in a request."""
    return called("df._no_secret", _text_of(run))


def _data_bytes(run: _Run) -> Fragment:
    """The value as the base64 of a part's data."""
    if run.is_rows:
        return _data_text(run)
    head = "(SELECT df._data_part(s.v::pg_catalog.text, pg_catalog.pg_typeof(s.v)) FROM (SELECT "
    return joined((Fragment(head), _reference(run), Fragment(" AS v) AS s)")))


# The arguments of a request


def _url(url: Text, known: Known) -> Fragment:
    def written(run: _Run) -> Fragment:
        return _data_text(run) if run.start == 0 else called("df._url_part", _text_of(run))

    return concatenated(_in_text(_split(url, known, is_url=True), written))


def _body(body: Text, known: Known, *, is_json: bool) -> Fragment:
    runs = _split(body, known)
    if is_json:
        return concatenated(_in_json(runs, _data_json, _data_text))
    return concatenated(_in_text(runs, _data_text))


def _headers(tree: Http) -> list[tuple[str, Json]]:
    return [] if tree.headers is None else _pairs(tree.headers)


def _pairs(written: str) -> list[tuple[str, Json]]:
    """The names and values of a JSON object; none where a text is no object as it stands."""
    try:
        found = read_json(written, _NESTING_MAX)
    except JsonFault:
        return []
    return list(found.pairs) if isinstance(found, JsonObject) else []


def _is_json(headers: Sequence[tuple[str, Json]], body: Text | None) -> bool:
    for name, value in headers:
        if name.lower() == "content-type" and isinstance(value, str):
            return JSON_TYPE.fullmatch(value) is not None
    return body is not None and body.value.lstrip()[:1] in ("{", "[")


def _headers_value(headers: Sequence[tuple[str, Json]], written: str, known: Known) -> Fragment:
    templates = [name for name, value in headers if isinstance(value, str) and _refers(_of(value, known))]
    if not templates:
        return _json_constant(written, known)
    object_ = concatenated(_object(headers, frozenset(templates), known, _data_text))
    return called("pg_catalog.jsonb_strip_nulls", joined((object_, Fragment("::pg_catalog.jsonb"))))


def _parts(written: str, known: Known) -> Fragment:
    parts = read_json(written, _NESTING_MAX)
    elements: list[Fragment] = []
    for part in parts.items if isinstance(parts, JsonArray) else ():
        elements.append(Fragment(quoted(", " if elements else "[")))
        if isinstance(part, JsonObject):
            elements += _object(part.pairs, _TEMPLATES_OF_A_PART, known, _data_text, data=_data_bytes)
        else:
            elements += _constant(write_jsonb(part), known)
    if not any(element.computed for element in elements):
        return _json_constant(written, known)
    elements.append(Fragment(quoted("]")))
    return joined((concatenated(elements), Fragment("::pg_catalog.jsonb")))


def _object(
    pairs: Sequence[tuple[str, Json]],
    templates: frozenset[str],
    known: Known,
    write: Callable[[_Run], Fragment],
    *,
    data: Callable[[_Run], Fragment] | None = None,
) -> list[Fragment]:
    """The elements of a JSON object, in which the values of the keys `templates` are templates.

    `data` says what a reference becomes that is all of `data_b64`.
    """
    elements: list[Fragment] = []
    for number, (key, value) in enumerate(pairs):
        head = f"{', ' if number else '{'}{quote_json(key)}: "
        runs = _of(value, known) if isinstance(value, str) and key in templates else None
        if runs is None or not _refers(runs):
            elements += _constant(head + write_jsonb(value), known)
        elif _is_lone(runs):
            alone = data if data is not None and key == "data_b64" else write
            elements += (*_constant(head, known), called("df._json_text", alone(runs[0])))
        else:
            text = concatenated(_in_text(runs, write))
            elements += (*_constant(head, known), called("df._json_text", text))
    elements.append(Fragment(quoted("}" if pairs else "{}")))
    return elements


def _of(value: str, known: Known) -> list[_Run]:
    """The runs of a text without a place in the source."""
    return _split(Text(value=value), known)
