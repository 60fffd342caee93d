"""PostgreSQL's lexical rules, with dfc's references: one lexer for workflow files and the SQL in steps.

The rules are those of PostgreSQL 18's `scan.l` (standard_conforming_strings on); LANGUAGE.md section 4 adds
references (`$name`, `$name.col`, `$name.*`, `?` behind them), which are recognised before operators.
Every scan takes time linear in the text: the patterns use possessive quantifiers, nothing is tried twice at
more than a constant number of lengths, and nothing recurses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a lexeme is. The kinds from `UNTERMINATED_STRING` on are faults."""

    IDENT = "identifier"
    QUOTED_IDENT = "quoted identifier"
    STRING = "string"
    ESCAPE_STRING = "escape string"
    UNICODE_STRING = "unicode string"
    DOLLAR_STRING = "dollar-quoted string"
    BIT_STRING = "bit string"
    NUMBER = "number"
    PARAM = "positional parameter"
    REFERENCE = "reference"
    OPERATOR = "operator"
    PUNCTUATION = "punctuation"
    COMMENT = "comment"
    BACKSLASH = "backslash"
    UNTERMINATED_STRING = "unterminated string"
    UNTERMINATED_DOLLAR = "unterminated dollar-quoted string"
    UNTERMINATED_IDENT = "unterminated quoted identifier"
    UNTERMINATED_COMMENT = "unterminated comment"
    BAD_NUMBER = "number with trailing junk"
    NUL = "NUL character"
    OTHER = "stray character"


STRINGS = frozenset({Kind.STRING, Kind.ESCAPE_STRING, Kind.UNICODE_STRING, Kind.DOLLAR_STRING})
"""The kinds that `dfc.compiler.strings.string_value` decodes."""

UNTERMINATED = frozenset(
    {
        Kind.UNTERMINATED_STRING,
        Kind.UNTERMINATED_DOLLAR,
        Kind.UNTERMINATED_IDENT,
        Kind.UNTERMINATED_COMMENT,
    }
)
"""Faults that reach to the end of the text; the opening delimiter is at their start."""

FAULTS = UNTERMINATED | {Kind.BAD_NUMBER, Kind.NUL, Kind.OTHER}
"""Everything that is no token of PostgreSQL's."""


class Lexeme(NamedTuple):
    """One token or comment: `text[start:end]`, in code points. There are very many of them."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The parts of a REFERENCE. `column` is None for the first column and for `rows` (`$name.*`)."""

    name: str
    column: str | None
    rows: bool
    optional: bool


# What PostgreSQL takes for letters: A-Z, a-z, _ and everything beyond ASCII. Written as what is left out,
# because `re` takes ten times as long to compile a range up to the last code point.
_NO_LETTER = r"\x00-@\[-^`{-\x7f"
_LETTER = rf"[^{_NO_LETTER}]"
_TAG = rf"{_LETTER}[^\x00-/:-@\[-^`{{-\x7f]*+"
_WORD = rf"{_LETTER}[^\x00-#%-/:-@\[-^`{{-\x7f]*+"
_DIGITS = r"[0-9]++(?:_[0-9]++)*+"

# A literal goes on behind its closing quote when white space with a line break, then a quote, follows.
_CONTINUED = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+"
_PLAIN = r"'[^']*+(?:''[^']*+)*+'"
_ESCAPED = r"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+'"
_BITS = r"'[^']*+'"


def _continued(literal: str) -> str:
    return rf"{literal}(?:{_CONTINUED}{literal})*+"


# `$step.error.message` is a reference as a whole: of a step that may fail, the parts of its error.
_OF_ERROR = r"error\.(?:message|sqlstate)(?![^\x00-#%-/:-@\[-^`{-\x7f])"
_REFERENCE = rf"\$(?P<ref_name>{_TAG})(?:\?\.\*|(?:\.(?:{_OF_ERROR}|{_WORD}|\*))?\??)"

_TOKEN = re.compile(
    "|".join(
        (
            r"(?P<space>[ \t\n\r\f\v]++)",
            r"(?P<comment>--[^\n\r]*+)",
            r"(?P<block>/\*)",
            rf"(?P<string>[nN]?{_continued(_PLAIN)})",
            rf"(?P<escape>[eE]{_continued(_ESCAPED)})",
            rf"(?P<unicode>[uU]&{_continued(_PLAIN)})",
            rf"(?P<bits>[bBxX]{_continued(_BITS)})",
            r"(?P<open_string>(?:[nNeEbBxX]|[uU]&)?')",
            r'(?P<quoted>(?:[uU]&)?"[^"]*+(?:""[^"]*+)*+")',
            r'(?P<open_quoted>(?:[uU]&)?")',
            rf"(?P<dollar>\$(?:{_TAG})?\$)",
            r"(?P<param>\$[0-9]++)",
            rf"(?P<reference>{_REFERENCE})",
            rf"(?P<word>{_WORD})",
            r"(?P<radix>0(?:[xX](?:_?[0-9A-Fa-f])++|[oO](?:_?[0-7])++|[bB](?:_?[01])++))",
            rf"(?P<number>(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?)",
            r"(?P<punctuation>::|:=|\.\.|[()\[\],;:.])",
            r"(?P<operator>[~!@#^&|`?+\-*/%<>=]++)",
            r"(?P<backslash>\\[^\n\r]*+)",
            r"(?P<nul>\x00)",
            r"(?P<other>.)",
        )
    ),
    re.DOTALL,
)

_SIMPLE = {
    "comment": Kind.COMMENT,
    "string": Kind.STRING,
    "escape": Kind.ESCAPE_STRING,
    "unicode": Kind.UNICODE_STRING,
    "bits": Kind.BIT_STRING,
    "quoted": Kind.QUOTED_IDENT,
    "reference": Kind.REFERENCE,
    "word": Kind.IDENT,
    "punctuation": Kind.PUNCTUATION,
    "backslash": Kind.BACKSLASH,
    "nul": Kind.NUL,
    "other": Kind.OTHER,
}

_CONTINUES = re.compile(_CONTINUED + "'")
_COMMENT_DELIMITER = re.compile(r"/\*|\*/")
_COMMENT_START = re.compile(r"--|/\*")
_JUNK = re.compile(_WORD)
_WORD_AT_END = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+\Z")
# An operator with one of these in it may end in `+` or `-`.
_NOT_IN_SQL = re.compile(r"[~!@#^&|`?%]")
_REFERENCE_PARTS = re.compile(_REFERENCE)

IN_TEXT = re.compile(
    r"\$\$(?P<escaped>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|\$(?P<name>[A-Za-z_][A-Za-z0-9_]*+)"
    r"(?:\?\.\*|(?:\.(?:error\.(?:message|sqlstate)(?!\w)|[^\W\d]\w*+|\*))?(?:\?(?![A-Za-z0-9_]))?)"
)
"""What is a reference inside a text, if its name is known, or stands for the text `$name` (`escaped`).

Names are those that steps can have, so that any other character ends one; a `?` in front of a letter or digit
(`https://host/$id?full=1`) is not part of it.
"""


def scan(text: str, start: int = 0, end: int | None = None) -> Iterator[Lexeme]:
    """The lexemes of `text[start:end]`, in order, comments included and white space left out.

    Never raises: what PostgreSQL's lexer refuses comes as one of `FAULTS`. An unterminated string, comment
    or quoted identifier reaches to the end.
    """
    stop = len(text) if end is None else end
    match = _TOKEN.match
    position = start
    while position < stop:
        token = match(text, position, stop)
        assert token is not None  # the last alternative takes any character
        kind = token.lastgroup
        after = token.end()
        if kind == "space":
            position = after
            continue
        simple = _SIMPLE.get(kind or "")
        if simple in STRINGS and _CONTINUES.match(text, after, stop):
            # The pattern has matched all but a last piece, which has no end.
            yield Lexeme(Kind.UNTERMINATED_STRING, position, stop)
            after = stop
        elif simple is not None:
            yield Lexeme(simple, position, after)
        elif kind == "operator":
            for operator in _operators(text, position, after):
                yield operator
                after = operator.end
        else:
            found = _other(text, kind, position, after, stop)
            yield found
            after = found.end
        position = after


def _other(text: str, kind: str | None, start: int, after: int, stop: int) -> Lexeme:
    """Lexemes whose end one pattern cannot find."""
    match kind:
        case "block":
            return _block_comment(text, start, stop)
        case "dollar":
            delimiter = text[start:after]
            closing = text.find(delimiter, after, stop)
            if closing == -1:
                return Lexeme(Kind.UNTERMINATED_DOLLAR, start, stop)
            return Lexeme(Kind.DOLLAR_STRING, start, closing + len(delimiter))
        case "radix" | "number" | "param":
            junk = _JUNK.match(text, after, stop)
            if junk is None and kind != "param" and text.startswith("$", after, stop):
                # PostgreSQL reads `1_0$1` as 1 and the word `_0$1`: longer than 1_0, and junk.
                word = _WORD_AT_END.search(text, start, after)
                junk = None if word is None else _JUNK.match(text, word.start(), stop)
            if junk is not None:
                return Lexeme(Kind.BAD_NUMBER, start, junk.end())
            return Lexeme(Kind.PARAM if kind == "param" else Kind.NUMBER, start, after)
        case "open_string":
            return Lexeme(Kind.UNTERMINATED_STRING, start, stop)
        case _:
            return Lexeme(Kind.UNTERMINATED_IDENT, start, stop)


def _block_comment(text: str, start: int, stop: int) -> Lexeme:
    depth = 0
    for delimiter in _COMMENT_DELIMITER.finditer(text, start, stop):
        depth += 1 if delimiter.group() == "/*" else -1
        if depth == 0:
            return Lexeme(Kind.COMMENT, start, delimiter.end())
    return Lexeme(Kind.UNTERMINATED_COMMENT, start, stop)


def _operators(text: str, start: int, end: int) -> Iterator[Lexeme]:
    """Cut a run of operator characters as PostgreSQL does.

    A comment ends it. `+` and `-` at the end stay only when the operator has a character that standard SQL's
    operators have not (`@-` is one operator, `=-` two); what is cut off is lexed again, one character each.
    """
    comment = _COMMENT_START.search(text, start, end)
    if comment is not None:
        end = comment.start()
    cut = end
    if end - start > 1 and text[end - 1] in "+-" and _NOT_IN_SQL.search(text, start, end - 1) is None:
        while cut - start > 1 and text[cut - 1] in "+-":
            cut -= 1
    kind = Kind.PUNCTUATION if text[start:cut] == "=>" else Kind.OPERATOR
    yield Lexeme(kind, start, cut)
    for single in range(cut, end):
        yield Lexeme(Kind.OPERATOR, single, single + 1)


def reference(text: str, lexeme: Lexeme) -> Reference:
    """The parts of a REFERENCE lexeme, as written: nothing is folded to lower case.

    `$name.row_count` has the column `row_count`, `$name.error.message` the column `error.message`.
    `$name?.*` and `$name.*?` are both optional rows.
    """
    return reference_of(text[lexeme.start : lexeme.end])


def reference_of(written: str) -> Reference:
    """The parts of a reference given as its own text. Raises ValueError when it is none."""
    parts = _REFERENCE_PARTS.fullmatch(written)
    if parts is None:
        raise ValueError(f"`{written}` is not a reference")
    name = parts["ref_name"]
    rest = written[1 + len(name) :]
    optional = "?" in rest
    column = rest.replace("?", "").removeprefix(".")
    rows = column == "*"
    return Reference(name=name, column=column if column and not rows else None, rows=rows, optional=optional)
