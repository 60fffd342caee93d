"""What came back: as it is recorded, and as messages show it. Pure."""

from __future__ import annotations

import base64
import codecs
import json
import re
from dataclasses import dataclass
from typing import Any, Final

import httpx

from dfc.executor.secret_text import Redactor

PREVIEW_BYTES_MAX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A response: its status and headers, and itself as the step's result."""

    status: int
    retry_after: str | None
    date: str | None
    value: dict[str, Any]
    preview: str


def received(response: httpx.Response, content: bytes, seconds: float, redactor: Redactor) -> Received:
    """The response with this body, without the secrets that it repeats."""
    text, encoding = _stored(content, response.charset_encoding, redactor)
    headers = {name.lower(): _clean(redactor.text(value)) for name, value in response.headers.items()}
    value: dict[str, Any] = {
        "status": response.status_code,
        "body": text,
        "encoding": encoding,
        "headers": headers,
        "ok": 200 <= response.status_code < 300,
        "duration_ms": round(seconds * 1000),
    }
    return Received(
        status=response.status_code,
        retry_after=headers.get("retry-after"),
        date=headers.get("date"),
        value=value,
        preview=_cut(text) if encoding == "text" else "",
    )


def as_json(values: list[dict[str, Any]], *, many: bool) -> str:
    """The result of the step."""
    return json.dumps(values if many else values[0], ensure_ascii=False)


def shown(url: str) -> str:
    """A URL for messages: without user, password, query and fragment, which may hold secrets."""
    if url.startswith("{"):
        return re.split(r"[?#]", url, maxsplit=1)[0]
    try:
        parsed = httpx.URL(url)
        return f"{parsed.scheme}://{parsed.netloc.decode().rpartition('@')[2]}{parsed.path}"
    except (httpx.InvalidURL, UnicodeError):
        return "the URL"


def _stored(content: bytes, charset: str | None, redactor: Redactor) -> tuple[str, str]:
    """The body as text where PostgreSQL can hold it as such, otherwise base64."""
    try:
        codec = codecs.lookup(charset or "utf-8").name
        text = content.decode(codec)
        if "\0" not in text:
            text.encode()
            return redactor.text(text), "text"
    except (LookupError, UnicodeError, ValueError):
        pass
    return base64.b64encode(redactor.bytes(content)).decode(), "base64"


def _clean(value: str) -> str:
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _cut(text: str) -> str:
    """The beginning of a body."""
    content = text[: PREVIEW_BYTES_MAX + 1].encode()
    if len(content) <= PREVIEW_BYTES_MAX:
        return text
    return content[: PREVIEW_BYTES_MAX - len("…".encode())].decode(errors="ignore") + "…"
