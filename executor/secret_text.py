"""`{secret:NAME}` in the texts of a request: which names there are, their values put in, and taken out.
Pure.

Where the values come from: runners/http_secrets.py. In a text `{secret::` stands for `{secret:` itself,
which is how a value that was put into a template keeps what it says (df._text_part): data never names a
secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

SHOWN_CHARACTERS_MIN: Final = 4
"""A secret shorter than this is not looked for in what comes back: it would be found everywhere."""

_SECRET: Final = re.compile(r"\{secret:(?::|([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})\})")


def names_in(text: str) -> frozenset[str]:
    """The names of the secrets that a text asks for."""
    if "{secret:" not in text:
        return frozenset()
    return frozenset(match[1] for match in _SECRET.finditer(text) if match[1])


def fill(
    text: str, values: Mapping[str, str], write: Callable[[str, int], str] = lambda value, _: value
) -> str:
    """The text with the secrets of `values` in it; others stay as they are.

    `write` says how a value is written that stands at an offset of the text.
    """
    if "{secret:" not in text:
        return text

    def written(match: re.Match[str]) -> str:
        if match[1] is None:
            return "{secret:"
        return write(values[match[1]], match.start()) if match[1] in values else match[0]

    return _SECRET.sub(written, text)


def fill_url(text: str, values: Mapping[str, str]) -> str:
    """The same for a URL: at its beginning a secret is put in as it is, later percent-encoded."""
    return fill(text, values, lambda value, offset: quote(value, safe="") if offset else value)


def fill_json(text: str, values: Mapping[str, str]) -> str:
    """The same for a JSON text: inside of a string a secret is escaped, elsewhere it is a string itself."""
    inside = _string_starts(text)

    def written(value: str, offset: int) -> str:
        whole = json.dumps(value, ensure_ascii=False)
        return whole[1:-1] if inside(offset) else whole

    return fill(text, values, written)


def _string_starts(text: str) -> Callable[[int], bool]:
    """Whether an offset, asked for in ascending order, lies in a string of a JSON text."""
    position, within = 0, False

    def inside(offset: int) -> bool:
        nonlocal position, within
        for match in _QUOTE.finditer(text, position, offset):
            within ^= match[0] == '"'
        position = offset
        return within

    return inside


_QUOTE: Final = re.compile(r'\\.|"', re.DOTALL)


class Redactor:
    """Puts `{secret:NAME}` back where a text shows a secret: as it is, or as JSON and URLs write it.

    Letters in the other case count too: a host is written in lower case, whatever it was. With `hosts` also
    the host of a secret that is a URL is hidden.
    """

    def __init__(self, values: Mapping[str, str], *, hosts: bool = False) -> None:
        forms = [
            (form, f"{{secret:{name}}}")
            for name, value in values.items()
            for form in _forms(value, hosts=hosts)
            if len(form) >= SHOWN_CHARACTERS_MIN
        ]
        # The longest first: a secret may be a part of another one.
        forms.sort(key=lambda form: (-len(form[0]), form))
        self._marks = [mark for _, mark in forms]
        self._text = self._bytes = None
        if forms:
            self._text = re.compile("|".join(f"({re.escape(form)})" for form, _ in forms), re.IGNORECASE)
            written = [re.escape(form.encode("utf-8", "replace")) for form, _ in forms]
            self._bytes = re.compile(b"|".join(b"(%b)" % form for form in written), re.IGNORECASE)

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._text is None:
            return text
        return self._text.sub(lambda match: self._marks[(match.lastindex or 1) - 1], text)

    def bytes(self, content: bytes) -> bytes:
        """The bytes without secrets, as far as they are UTF-8."""
        if self._bytes is None:
            return content
        return self._bytes.sub(lambda match: self._marks[(match.lastindex or 1) - 1].encode(), content)


def _forms(value: str, *, hosts: bool) -> set[str]:
    found = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(value, safe=""),
        quote(value),
    }
    host = _HOST.match(value) if hosts else None
    return found if host is None else found | {host[1], host[2]}


_HOST: Final = re.compile(r"https?://((?:[^/?#]*@)?([^/?#:]*)[^/?#]*)", re.IGNORECASE)
