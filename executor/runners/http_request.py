"""Requests out of what a step computed: hostile text until it has been checked. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final, cast

from dfc.compiler.plan import Request
from dfc.executor import limits
from dfc.executor.journal import Rows

METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
# What frames a message is the client's to say: two opinions about it are how requests are smuggled.
FORBIDDEN: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive", "host"}
)
_FIELDS: Final = {"url", "method", "body", "headers", "timeout_seconds"}
_MARKER: Final = re.compile(r"/\*dfc:1:([0-9]{1,9})\*/")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadRequest(Exception):
    """The value is not a request that may be sent; the message says why."""


def requests_of(given: Request | Rows) -> list[Request]:
    """The requests, one for each row where a step computed them. Raises BadRequest."""
    if isinstance(given, Request):
        check(given)
        return [given]
    if len(given.columns) != 1:
        raise BadRequest(f"the step gave {len(given.columns)} columns instead of one request")
    found: list[Request] = []
    for number, cell in enumerate(given.cells, 1):
        try:
            found.append(parse(cell))
        except BadRequest as error:
            raise BadRequest(f"row {number}: {error}" if len(given.cells) > 1 else str(error)) from None
    return found


def parse(cell: str | None) -> Request:
    """The request that a wire text `/*dfc:1:<n>*/{"http":{...}}` says. Raises BadRequest."""
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
    fields = _object(_object(value).get("http"))
    if set(fields) != _FIELDS:
        raise BadRequest("the value is not a request of df.http")
    request = Request(
        url=_text(fields["url"], "url"),
        method=_text(fields["method"], "method"),
        body=None if fields["body"] is None else _text(fields["body"], "body"),
        headers=_headers(fields["headers"]),
        timeout_seconds=_seconds(fields["timeout_seconds"]),
    )
    check(request)
    return request


def check(request: Request) -> None:
    """Raises BadRequest for what must not, or cannot, be sent."""
    if not request.url.lower().startswith(("http://", "https://")):
        raise BadRequest("the URL does not begin with http:// or https://")
    if any(ord(character) <= 32 or ord(character) == 127 for character in request.url):
        raise BadRequest("the URL contains white space or control characters")
    if request.method not in METHODS:
        raise BadRequest(f"the method `{request.method[:20]}` is not known")
    if request.body is not None and len(request.body.encode("utf-8", "replace")) > limits.HTTP_BODY_BYTES_MAX:
        raise BadRequest("the body is over `http_body_bytes_max` (16 MiB)")
    for name, value in request.headers:
        if _TOKEN.fullmatch(name) is None:
            raise BadRequest(f"`{name[:50]}` is not a header name")
        if any((ord(character) < 32 and character != "\t") or ord(character) == 127 for character in value):
            raise BadRequest(f"the value of header `{name[:50]}` contains control characters")
        if name.lower() in FORBIDDEN:
            raise BadRequest(f"the header `{name}` is set by dfc itself")


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


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest("timeout_seconds is not a number")
    if not 0 < value <= limits.HTTP_TIMEOUT_SECONDS_MAX:
        raise BadRequest(f"timeout_seconds is not between 1 and {limits.HTTP_TIMEOUT_SECONDS_MAX}")
    return max(1, int(value))
