"""The values in the wire text of an expression: numbers, durations, policies, requests. Used by `wire`."""

from __future__ import annotations

import re
from typing import TypeVar

from dfc.compiler.ast import Http, Policies, PolicyValue, Text
from dfc.compiler.json_text import Json, JsonArray, JsonNumber, JsonObject, write_jsonb
from dfc.compiler.options import fault_of
from dfc.compiler.plan import Duration
from dfc.compiler.requests import are_headers, are_parts
from dfc.compiler.signatures import POLICY_NAMES, STEPS, Signature, Want

INT4 = 2**31
_INT8 = 2**63
_KEYS = {
    "http": ("url", "method", "body", "headers", "timeout_seconds"),
    "multipart": ("url", "method", "parts", "headers", "timeout_seconds"),
}
_FUNCTIONS = {"multipart": "http_multipart"}
_METHOD = re.compile(r"[A-Z]{1,20}")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


class WireError(ValueError):
    """A text that is no expression. `code` is that of the diagnostic."""

    def __init__(self, message: str, code: str = "DF115") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def wait(name: str, value: Json) -> Duration:
    """How long something waits. Raises WireError for what no wait can be."""
    return checked(name, duration_of(value))


# Policies

_Checked = TypeVar("_Checked", int, str, Duration)


def checked(name: str, value: _Checked) -> _Checked:
    """The value of an option that is allowed. Raises WireError for another one."""
    fault = fault_of(name, value)
    if fault is not None:
        raise WireError(fault.message, fault.code)
    return value


def policies_of(function: str, document: Json) -> Policies:
    """The policies of a node of the function. Raises WireError for those that it does not take."""
    known = {p.name: p.want for p in (STEPS.get(_FUNCTIONS.get(function, function)) or Signature()).every}
    if not isinstance(document, JsonObject) or not document.pairs:
        raise WireError("the policies of the expression are not an object")
    keys = [key for key, _ in document.pairs]
    if keys != [name for name in POLICY_NAMES if name in keys and name in known]:
        raise WireError(f"a `{function}` of the expression has policies that it does not take")
    given = tuple([(key, _policy_value(key, known[key], value)) for key, value in document.pairs])
    for name, value in given:
        fault = fault_of(name, value)
        if fault is not None:
            raise WireError(fault.message, fault.code)
    return Policies(given=given)


def _policy_value(name: str, want: Want, value: Json) -> PolicyValue:
    match want, value:
        case Want.INTEGER, JsonNumber():
            return integer(value, INT4)
        case Want.BOOLEAN, bool():
            return value
        case Want.TEXT, str():
            return value
        case Want.DURATION, _:
            return duration_of(value)
        case Want.LIST, JsonArray(items=items) if all(isinstance(item, str) for item in items):
            return tuple([item for item in items if isinstance(item, str)])
        case Want.JSON, JsonObject(pairs=pairs) if not any(
            isinstance(item, JsonObject | JsonArray) for _, item in pairs
        ):
            return write_jsonb(value)
        case _:
            raise WireError(f"the policy `{name}` of the expression is not written as df functions write it")


def duration_of(value: Json) -> Duration:
    match value:
        case JsonArray(items=[JsonNumber() as months, JsonNumber() as days, JsonNumber() as microseconds]):
            return Duration(
                months=integer(months, INT4),
                days=integer(days, INT4),
                microseconds=integer(microseconds, _INT8),
            )
        case _:
            raise WireError("a duration of the expression is not written as df functions write it")


def integer(number: JsonNumber, limit: int) -> int:
    if _INTEGER.fullmatch(number.text) is None or not -limit <= int(number.text) < limit:
        raise WireError("a number of the expression is not written as df functions write it")
    return int(number.text)


def request_of(kind: str, request: JsonObject) -> Http:
    """A request with constant arguments. Raises WireError for one that df.http would not write."""
    keys = tuple(key for key, _ in request.pairs)
    match [value for _, value in request.pairs]:
        case [str() as url, str() as method, content, headers, JsonNumber() as seconds]:
            sound = (
                keys == _KEYS[kind]
                and (headers is None or are_headers(headers))
                and _METHOD.fullmatch(method)
                and _INTEGER.fullmatch(seconds.text)
                and 0 < int(seconds.text) < INT4
            )
            multipart = kind == "multipart" and are_parts(content)
            if sound and (multipart or (kind == "http" and (content is None or isinstance(content, str)))):
                return Http(
                    url=Text(value=url),
                    method=method,
                    body=Text(value=content) if isinstance(content, str) else None,
                    headers=None if headers is None else write_jsonb(headers),
                    timeout_seconds=int(seconds.text),
                    parts=write_jsonb(content) if multipart else None,
                )
        case _:
            pass
    raise WireError("a request of the expression is not written as df.http writes it")
