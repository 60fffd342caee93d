"""Requests out of what a step computed: hostile text until it has been checked. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from dfc.compiler.plan import DEFAULT_POLICY, Duration, Part, Policy, Request
from dfc.executor import limits
from dfc.executor.journal import Rows
from dfc.executor.retry_http import attempts_max
from dfc.executor.secret_text import fill, fill_json, fill_url, names_in

METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
PARTS_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
# What frames a message is the client's to say: two opinions about it are how requests are smuggled.
FORBIDDEN: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive", "host"}
)
_FIELDS: Final = {"url", "method", "body", "headers", "timeout_seconds"}
_PARTS_FIELDS: Final = {"url", "method", "parts", "headers", "timeout_seconds"}
_PART_FIELDS: Final = {"name", "data_b64", "filename", "content_type"}
_MARKER: Final = re.compile(r"/\*dfc:1:([0-9]{1,9})\*/")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SPACE: Final = re.compile(r"[ \t\r\n]+")
# The same in compiler/templates.py; a test compares them.
JSON_TYPE: Final = re.compile(
    r"\s*[^\s/;]+/(?:x-)?(?:[^\s;+]+\+)?(?:json|ndjson|jsonl|json-seq)\s*(?:;.*)?", re.IGNORECASE | re.DOTALL
)


class BadRequest(Exception):
    """The value is not a request that may be sent; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A part of a multipart request as it is sent."""

    name: str
    content: bytes
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request as it is sent: checked, its secrets filled in."""

    url: str
    method: str
    headers: tuple[tuple[str, str], ...]
    content: bytes | None
    fields: tuple[Field, ...]
    timeout_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, and the policy that holds for it: the step's, with what its own call says."""

    request: Request
    policy: Policy


def requests_of(given: Request | Rows, policy: Policy) -> list[Asked]:
    """The requests, one for each row where a step computed them. Raises BadRequest."""
    if isinstance(given, Request):
        return [Asked(request=given, policy=policy)]
    if len(given.columns) != 1:
        raise BadRequest(f"the step gave {len(given.columns)} columns instead of one request")
    found: list[Asked] = []
    for number, cell in enumerate(given.cells, 1):
        try:
            found.append(read(cell, policy))
        except BadRequest as error:
            raise BadRequest(f"row {number}: {error}" if len(given.cells) > 1 else str(error)) from None
    return found


def read(cell: str | None, policy: Policy = DEFAULT_POLICY) -> Asked:
    """The request that a wire text `/*dfc:1:<n>*/{"http":{...}}` or `{"multipart":{...}}` says.

    Raises BadRequest.
    """
    if cell is None:
        raise BadRequest("the request is NULL")
    marker = _MARKER.match(cell)
    if marker is None:
        raise BadRequest("the value is not a request of df.http")
    text = cell[marker.end() :]
    if len(text) != int(marker[1]):
        raise BadRequest("the request was changed after df.http made it")
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("the request is not JSON") from None
    node = _object(value)
    fields = _object(node.get("http", node.get("multipart")))
    with_parts = set(fields) == _PARTS_FIELDS and "multipart" in node
    if not with_parts and (set(fields) != _FIELDS or "http" not in node):
        raise BadRequest("the value is not a request of df.http")
    request = Request(
        url=_text(fields["url"], "url"),
        method=_text(fields["method"], "method"),
        body=None if with_parts or fields["body"] is None else _text(fields["body"], "body"),
        headers=_headers(fields["headers"]),
        timeout_seconds=_seconds(fields["timeout_seconds"]),
        parts=_parts(fields["parts"]) if with_parts else (),
    )
    check(request)
    given = _object(node.get("policy", {}))
    return Asked(request=request, policy=_policy(given, policy) if given else policy)


def check(request: Request) -> None:
    """Raises BadRequest for what must not, or cannot, be sent."""
    if not request.url.lower().startswith(("http://", "https://", "{secret:")):
        raise BadRequest("the URL does not begin with http:// or https://")
    if any(ord(character) <= 32 or ord(character) == 127 for character in request.url):
        raise BadRequest("the URL contains white space or control characters")
    if request.method not in (PARTS_METHODS if request.parts else METHODS):
        for_parts = " for a multipart request" if request.method in METHODS else ""
        raise BadRequest(f"the method `{request.method[:20]}` is not known{for_parts}")
    if request.body is not None and len(request.body.encode("utf-8", "replace")) > limits.HTTP_BODY_BYTES_MAX:
        raise BadRequest("the body is over `http_body_bytes_max` (16 MiB)")
    for name, value in request.headers:
        if _TOKEN.fullmatch(name) is None:
            raise BadRequest(f"`{name[:50]}` is not a header name")
        if _has_control(value):
            raise BadRequest(f"the value of header `{name[:50]}` contains control characters")
        if name.lower() in FORBIDDEN:
            raise BadRequest(f"the header `{name}` is set by dfc itself")
    for part in request.parts:
        if part.content_type is not None and _has_control(part.content_type):
            raise BadRequest(f"the content_type of part `{part.name[:50]}` contains control characters")


def secrets_of(request: Request) -> frozenset[str]:
    """The names of the secrets that a request asks for."""
    return frozenset[str]().union(*map(names_in, _texts(request)))


def filled(request: Request, secrets: Mapping[str, str]) -> Outgoing:
    """The request with these secrets, ready to be sent. Raises BadRequest, whose message has none of them."""
    body = request.body
    if body is not None:
        body = (fill_json if is_json(request) else fill)(body, secrets)
    full = replace(
        request,
        url=fill_url(request.url, secrets),
        body=body,
        headers=tuple([(name, fill(value, secrets)) for name, value in request.headers]),
        parts=tuple([_part_filled(part, secrets) for part in request.parts]),
    )
    check(full)
    if not full.url.lower().startswith("http"):
        raise BadRequest("the URL does not begin with http:// or https://")
    fields = tuple([_field(part) for part in full.parts])
    if sum(len(field.content) for field in fields) > limits.HTTP_BODY_BYTES_MAX:
        raise BadRequest("the parts together are over `http_body_bytes_max` (16 MiB)")
    try:
        content = None if body is None else body.encode()
    except UnicodeError:
        raise BadRequest("the body contains characters that are not text") from None
    return Outgoing(
        url=full.url,
        method=full.method,
        headers=full.headers,
        content=content,
        fields=fields,
        timeout_seconds=full.timeout_seconds,
    )


def is_json(request: Request) -> bool:
    """Whether the body is JSON: its Content-Type says so, or there is none and it looks like it."""
    for name, value in request.headers:
        if name.lower() == "content-type":
            return JSON_TYPE.fullmatch(value) is not None
    return looks_like_json(request.body)


def looks_like_json(body: str | None) -> bool:
    """Whether a body is taken for JSON where no Content-Type says what it is."""
    return body is not None and body.lstrip()[:1] in ("{", "[")


def _texts(request: Request) -> list[str]:
    texts = [request.url, request.body or "", *(value for _, value in request.headers)]
    for part in request.parts:
        texts += [part.name, part.filename or "", part.data_b64]
    return texts


def _part_filled(part: Part, secrets: Mapping[str, str]) -> Part:
    return replace(
        part,
        name=fill(part.name, secrets),
        filename=None if part.filename is None else fill(part.filename, secrets),
        data_b64=fill(part.data_b64, secrets),
    )


def _field(part: Part) -> Field:
    try:
        content = base64.b64decode(_SPACE.sub("", part.data_b64), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"data_b64 of part `{part.name[:50]}` is not base64") from None
    return Field(
        name=part.name, content=content, filename=part.filename or None, content_type=part.content_type
    )


def _has_control(value: str) -> bool:
    return any((ord(character) < 32 and character != "\t") or ord(character) == 127 for character in value)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest("the value is not a request of df.http")
    return cast(dict[str, Any], value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"the {name} is not text")
    try:
        value.encode()
    except UnicodeError:
        raise BadRequest(f"the {name} contains characters that are not text") from None
    return value


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    pairs: list[tuple[str, str]] = []
    for name, given in _object(value).items():
        if given is None:
            continue
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise BadRequest(f"the value of header `{name[:50]}` is not text")
        pairs.append((_text(name, "header name"), _text(str(given), "header value")))
    return tuple(pairs)


def _parts(value: object) -> tuple[Part, ...]:
    if not isinstance(value, list) or not value:
        raise BadRequest("parts is not an array of parts")
    return tuple([_part(item, number) for number, item in enumerate(cast(list[object], value), 1)])


def _part(value: object, number: int) -> Part:
    if not isinstance(value, dict):
        raise BadRequest(f"part {number} is not an object")
    given = cast(dict[str, object], value)
    fields = {key: _text(item, f"{key} of part {number}") for key, item in given.items() if item is not None}
    if not set(given) <= _PART_FIELDS or not {"name", "data_b64"} <= set(fields):
        raise BadRequest(f"part {number} is not {{name, data_b64, filename, content_type}}")
    return Part(
        name=fields["name"],
        data_b64=fields["data_b64"],
        filename=fields.get("filename"),
        content_type=fields.get("content_type"),
    )


def _policy(given: Mapping[str, object], policy: Policy) -> Policy:
    """The policy of the step with what the call of df.http says that computed a request.

    That can be only what is asked after the request is known: the rest is asked of the step.
    """
    for key, value in given.items():
        match key, value:
            case "retry_unsafe", bool():
                policy = replace(policy, retry_unsafe=value)
            case "retry_on", list():
                policy = replace(policy, retry_on=_words(cast(list[Any], value)))
            case "no_retry_on", list():
                policy = replace(policy, no_retry_on=_words(cast(list[Any], value)))
            case "timeout", list():
                policy = replace(policy, timeout=_duration(cast(list[Any], value)))
            case "retry_after_max", list():
                policy = replace(policy, retry_after_max=_duration(cast(list[Any], value)))
            case "max_attempts", int() if 1 <= value <= attempts_max(policy):
                policy = replace(policy, max_attempts=value)
            case _:
                raise BadRequest(
                    f"`{key[:50]}` has to be said of the step:"
                    f" df.step('name', 'SELECT df.http(...)', {key[:50]} => ...)"
                )
    return policy


def _words(value: list[Any]) -> tuple[str, ...]:
    return tuple([_text(word, "condition") for word in value])


def _duration(value: list[Any]) -> Duration:
    match value:
        case [int() as months, int() as days, int() as microseconds]:
            return Duration(months=months, days=days, microseconds=microseconds)
        case _:
            raise BadRequest("a duration is not one")


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest("timeout_seconds is not a number")
    if not 0 < value <= limits.HTTP_TIMEOUT_SECONDS_MAX:
        raise BadRequest(f"timeout_seconds is not between 1 and {limits.HTTP_TIMEOUT_SECONDS_MAX}")
    return max(1, int(value))
