"""Multipart requests, as a server reads them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler.plan import Part, Request
from dfc.executor import limits
from dfc.executor.runners.http_request import BadRequest, check, filled, read
from tests.executor.http_site import Site, action, failure, marked, perform, rows, send, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def multipart(url: str, *parts: Part, method: str = "POST", **headers: str) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(url=url, method=method, body=None, headers=pairs, timeout_seconds=30, parts=parts)


def wire(*parts: object, **fields: object) -> str:
    given = {"url": "http://h/", "method": "POST", "parts": parts, "headers": None, "timeout_seconds": 30}
    return marked({"multipart": {**given, **fields}})


def parts_of(headers: dict[str, str], body: bytes) -> list[Message]:
    """The parts of a body as Python's own parser finds them."""
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    assert message.is_multipart() and not message.defects
    return cast(list[Message], message.get_payload())


CONTENT = bytes(range(256)) + b"\r\n--dfc-\r\n"


def test_what_the_server_gets(site: Site) -> None:
    send(
        multipart(
            site.url("/upload"),
            Part(name="note", data_b64=b64("grüße".encode())),
            Part(name="file", data_b64=b64(CONTENT), filename="a b.bin"),
            Part(name="csv", data_b64=b64(b"1,2"), filename="x.csv", content_type="text/csv"),
            Part(name="empty", data_b64=""),
            method="PUT",
            Content_Type="text/plain",
            X_Other="1",
        )
    )
    [(method, path, headers, body)] = site.seen
    assert (method, path, headers["x-other"]) == ("PUT", "/upload", "1")
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert int(headers["content-length"]) == len(body)
    note, file, csv, empty = parts_of(headers, body)
    assert note["Content-Disposition"] == 'form-data; name="note"'
    assert note["Content-Type"] is None
    assert cast(bytes, note.get_payload(decode=True)).decode() == "grüße"
    assert (file.get_filename(), file.get_content_type()) == ("a b.bin", "application/octet-stream")
    assert csv["Content-Type"] == "text/csv"
    assert csv.get_payload(decode=True) == b"1,2"
    assert empty.get_payload(decode=True) == b""
    boundary = headers["content-type"].partition("=")[2].encode()
    assert body.split(b"--" + boundary)[2].partition(b"\r\n\r\n")[2][:-2] == CONTENT


def test_every_attempt_sends_the_same_bytes(site: Site) -> None:
    sent = multipart(site.url(), Part(name="a", data_b64=b64(CONTENT)))
    perform(action(sent), action(sent, attempt=2), action(sent, path="other"))
    first, second, other = site.seen
    assert first[2:] == second[2:]
    assert first[2]["content-type"] != other[2]["content-type"]


def test_a_part_may_have_the_boundary_in_it(site: Site) -> None:
    send(multipart(site.url(), Part(name="a", data_b64="")))
    boundary = site.seen[0][2]["content-type"].partition("=")[2]
    send(multipart(site.url(), Part(name="a", data_b64=b64(f"\r\n--{boundary}--\r\n".encode()))))
    [part] = parts_of(site.seen[1][2], site.seen[1][3])
    assert boundary in cast(bytes, part.get_payload(decode=True)).decode()


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_no_name_breaks_out_of_its_place(name: str, filename: str) -> None:
    import httpx

    part = Part(name=name, data_b64="eA==", filename=filename)
    [field] = filled(multipart("http://h/", part), {}).fields
    content = httpx.Request(
        "POST", "http://h/", files=[(field.name, (field.filename, field.content, None))]
    ).read()
    head = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line.partition(b":")[0] for line in head[1:]] == [b"Content-Disposition", b"Content-Type"]
    assert head[1].count(b'"') == 4


def test_parts_from_a_statement(site: Site) -> None:
    cell = wire({"name": "n", "data_b64": "aGk=", "filename": None}, url=site.url())
    assert send(rows(cell))["status"] == 200
    [part] = parts_of(site.seen[0][2], site.seen[0][3])
    assert part.get_payload(decode=True) == b"hi"


def test_data_may_have_line_breaks(site: Site) -> None:
    """PostgreSQL's encode() breaks lines."""
    send(multipart(site.url(), Part(name="a", data_b64="aGVs\nbG8g\r\n d29y bGQ=")))
    [part] = parts_of(site.seen[0][2], site.seen[0][3])
    assert part.get_payload(decode=True) == b"hello world"


@pytest.mark.parametrize("data", ["aGk", "a===", "aGk=x", "ä", "aGk_", "{}"])
def test_data_that_is_not_base64(site: Site, data: str) -> None:
    failed = failure(multipart(site.url(), Part(name="pic", data_b64=data)))
    assert failed.error.sqlstate == "DF517"
    assert failed.error.message == "the request cannot be sent: data_b64 of part `pic` is not base64"
    assert site.seen == []


def test_the_parts_together_are_limited(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_BYTES_MAX", 1000)
    half = Part(name="a", data_b64=b64(b"x" * 500))
    assert send(multipart(site.url(), half, half))["status"] == 200
    failed = failure(multipart(site.url(), half, half, Part(name="b", data_b64="eA==")))
    assert "http_body_bytes_max" in failed.error.message and len(site.seen) == 1


@pytest.mark.parametrize(
    "cell",
    [
        wire(),
        wire("a"),
        wire({}),
        wire({"name": "a"}),
        wire({"data_b64": ""}),
        wire({"name": None, "data_b64": ""}),
        wire({"name": 1, "data_b64": ""}),
        wire({"name": "a", "data_b64": ["x"]}),
        wire({"name": "a", "data_b64": "", "other": "x"}),
        wire({"name": "a", "data_b64": "", "content_type": "text/plain\r\nX-Evil: 1"}),
        wire({"name": "\ud800", "data_b64": ""}),
        wire({"name": "a", "data_b64": ""}, method="GET"),
        wire({"name": "a", "data_b64": ""}, method="DELETE"),
        wire({"name": "a", "data_b64": ""}, parts=None),
        wire({"name": "a", "data_b64": ""}, parts={"name": "a", "data_b64": ""}),
        wire({"name": "a", "data_b64": ""}, body="x"),
        wire({"name": "a", "data_b64": ""}, headers={"Content-Length": "1"}),
        wire({"name": "a", "data_b64": ""}, url="ftp://h/"),
    ],
)
def test_hostile_parts_are_refused(cell: str) -> None:
    with pytest.raises(BadRequest):
        read(cell)


def test_a_constant_request_is_checked_too() -> None:
    with pytest.raises(BadRequest, match="content_type of part `a`"):
        check(multipart("http://h/", Part(name="a", data_b64="", content_type="a\nb")))
