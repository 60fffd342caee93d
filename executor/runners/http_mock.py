"""Answers for HTTP steps from a file, instead of the network; with a ledger of what was asked.

A mock file is a JSON array. The first entry that fits a request, and has not been used up, answers it:

    [{"method": "POST", "url": "https://api.example.com/*", "status": 200, "json": {"id": 1}, "times": 1}]

Only `url` is required; `*` in it stands for anything. Each line of the ledger is a request that has come in.
It is written before the answer is given: a worker that dies over the answer has left its request there.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import httpx

_KEYS: Final = ("method", "url", "status", "headers", "json", "body", "times", "delay_seconds")
SECONDS: Final = "dfc.seconds"
"""The extension of a response that says how long it took: with a mock always the same."""

_JSON: Final = ("content-type", "application/json")


class MockFault(Exception):
    """A mock file cannot be used; the message says where and why."""


class NotMocked(Exception):
    """No entry of the mock answers a request."""

    def __init__(self, request: str, mock: HttpMock, hint: str) -> None:
        super().__init__(f"`{mock.name}` has no answer for {request}")
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class MockAnswer:
    """An entry: which requests it answers, with what, and how many of them (None: all)."""

    url: str
    method: str | None = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    times: int | None = None
    delay_seconds: float = 0.0

    def fits(self, method: str, url: str) -> bool:
        """Whether a request is one that this entry answers."""
        if self.method not in (None, method):
            return False
        return re.fullmatch(".*".join(map(re.escape, self.url.split("*"))), url, re.DOTALL) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMock:
    """The answers of a mock file. `ledger` is where requests are written down, if anywhere."""

    name: str
    answers: tuple[MockAnswer, ...]
    ledger: Path | None = None

    def noting(self, ledger: Path) -> HttpMock:
        """The same with a ledger."""
        return replace(self, ledger=ledger)


def written_mock(mock: HttpMock) -> dict[str, Any]:
    """A mock as JSON, for another process of the same program."""
    answers = [{**asdict(answer), "body": base64.b64encode(answer.body).decode()} for answer in mock.answers]
    return {"name": mock.name, "answers": answers, "ledger": mock.ledger and str(mock.ledger)}


def mock_as_written(written: Mapping[str, Any]) -> HttpMock:
    """What `written_mock` wrote."""
    answers: list[MockAnswer] = []
    for answer in written["answers"]:
        fields: dict[str, Any] = dict(answer)
        fields["headers"] = tuple([(str(name), str(value)) for name, value in answer["headers"]])
        fields["body"] = base64.b64decode(answer["body"])
        answers.append(MockAnswer(**fields))
    ledger = written["ledger"]
    found = None if ledger is None else Path(ledger)
    return HttpMock(name=written["name"], answers=tuple(answers), ledger=found)


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A request that has come in, and the number of the entry that has answered it (None: none has)."""

    method: str
    url: str
    key: str | None
    answer: int | None


def read_mock(path: Path) -> HttpMock:
    """The mock of a file. Raises MockFault."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MockFault(f"cannot read `{path}`: {error.strerror}") from None
    except ValueError as error:
        raise MockFault(f"`{path}` is not JSON: {error}") from None
    if not isinstance(found, list):
        raise MockFault(f"`{path}` is not an array of answers")
    entries = cast("list[object]", found)
    answers = tuple(_answer(f"`{path}`, answer {number}", entry) for number, entry in enumerate(entries, 1))
    return HttpMock(name=str(path), answers=answers)


def _answer(where: str, entry: object) -> MockAnswer:
    if not isinstance(entry, dict):
        raise MockFault(f"{where}: it is not an object")
    fields = cast("dict[str, Any]", entry)
    if (unknown := next((key for key in fields if key not in _KEYS), None)) is not None:
        raise MockFault(f"{where}: `{unknown}` is none of {', '.join(_KEYS)}")
    if "json" in fields and "body" in fields:
        raise MockFault(f"{where}: give `json` or `body`, not both")
    headers = cast("dict[str, str]", _given(where, fields, "headers", dict, {}))
    if not all(isinstance(value, str) for value in headers.values()):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MockFault(f"{where}: the values of `headers` are strings")
    sent = tuple(headers.items())
    body = _given(where, fields, "body", str, "").encode()
    if "json" in fields:
        body = json.dumps(fields["json"], ensure_ascii=False).encode()
        if not any(name.lower() == _JSON[0] for name in headers):
            sent = (*sent, _JSON)
    status = _given(where, fields, "status", int, 200)
    if not 100 <= status <= 599:
        raise MockFault(f"{where}: `status` {status} is not one of HTTP")
    times = None if fields.get("times") is None else _given(where, fields, "times", int, 1)
    if times is not None and times < 1:
        raise MockFault(f"{where}: `times` is at least 1")
    method = _given(where, fields, "method", str, "*").upper()
    return MockAnswer(
        url=_given(where, fields, "url", str, None),
        method=None if method == "*" else method,
        status=status,
        headers=sent,
        body=body,
        times=times,
        delay_seconds=float(_given(where, fields, "delay_seconds", (int, float), 0)),
    )


def _given(
    where: str, fields: Mapping[str, Any], key: str, kind: type | tuple[type, ...], default: Any
) -> Any:
    value = fields.get(key, default)
    if value is None:
        raise MockFault(f"{where}: `{key}` is missing")
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {dict: "an object", str: "a string", int: "a number"}
        raise MockFault(f"{where}: `{key}` is not {names.get(cast(type, kind), 'a number')}")
    return value


def read_ledger(path: Path) -> list[LedgerLine]:
    """The requests that have come in, in order."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [LedgerLine(line["method"], line["url"], line["key"], line["answer"]) for line in lines]


class MockTransport(httpx.AsyncBaseTransport):
    """Answers from a mock. What an earlier worker has used up, going by the ledger, stays used up."""

    def __init__(self, mock: HttpMock) -> None:
        self._mock = mock
        before = () if mock.ledger is None else read_ledger(mock.ledger)
        self._used = Counter(asked.answer for asked in before if asked.answer is not None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. Raises NotMocked."""
        await request.aread()
        trace = request.extensions.get("trace")
        if trace is not None:  # from here on it counts as sent, as it does on the network
            await trace("http11.send_request_headers.started", {})
        url = str(request.url)
        number = self._choose(request.method, url)
        self._note(LedgerLine(request.method, url, request.headers.get("Idempotency-Key"), number))
        if number is None:
            raise NotMocked(f"{request.method} {url.partition('?')[0]}", self._mock, self._hint(request))
        answer = self._mock.answers[number]
        if answer.delay_seconds:
            await asyncio.sleep(answer.delay_seconds)
        return httpx.Response(
            answer.status,
            headers=list(answer.headers),
            content=answer.body,
            request=request,
            extensions={SECONDS: answer.delay_seconds},
        )

    def _choose(self, method: str, url: str) -> int | None:
        for number, answer in enumerate(self._mock.answers):
            used_up = answer.times is not None and self._used[number] >= answer.times
            if not used_up and answer.fits(method, url):
                self._used[number] += 1
                return number
        return None

    def _hint(self, request: httpx.Request) -> str:
        fitting = any(answer.fits(request.method, str(request.url)) for answer in self._mock.answers)
        if fitting:
            return "The answers that fit are used up: raise `times`, or leave it out."
        url = str(request.url).partition("?")[0]
        return f'Add {{"method": "{request.method}", "url": "{url}*", "json": {{}}}} to it.'

    def _note(self, asked: LedgerLine) -> None:
        if self._mock.ledger is None:
            return
        line = {"method": asked.method, "url": asked.url, "key": asked.key, "answer": asked.answer}
        descriptor = os.open(self._mock.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)
