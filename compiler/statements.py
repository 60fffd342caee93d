"""A file cut into statements, and which of them are workflows.

A statement ends at `;` outside parentheses and outside the body of a `BEGIN ATOMIC` function, as psql sees it
(`psqlscan.l`). Inside parentheses a `;` is legal only in CREATE RULE and such bodies, so that it also ends
every statement that does not begin with CREATE: a forgotten parenthesis costs one statement, not the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, auto

from dfc.compiler.constants import KNOWN_TYPES
from dfc.compiler.signatures import HELPERS, JSON_BUILDERS, STEPS, SUBMISSIONS, VARIABLES
from dfc.grammar.lexer import STRINGS, UNTERMINATED, Kind, Lexeme, scan

NESTING_LEVELS_MAX = 256
STATEMENT_TOKENS_MAX = 2_000_000


class Form(Enum):
    """What a statement is: a bare expression, `SELECT df.start(...)` and its kin, SQL, or a psql command."""

    BARE = auto()
    CALL = auto()
    SERVER = auto()
    COPY = auto()
    PSQL = auto()


@dataclass(slots=True)
class Statement:
    """A statement as its lexemes; those of a server statement are not kept. Positions are code points.

    `opened` are the brackets that nothing closes, `unterminated` a string or comment without end, `too_deep`
    and `too_long` the lexeme where a limit was passed.
    """

    form: Form
    start: int
    end: int = 0
    lexemes: list[Lexeme] = field(default_factory=list[Lexeme])
    opened: list[Lexeme] = field(default_factory=list[Lexeme])
    unterminated: Lexeme | None = None
    too_deep: Lexeme | None = None
    too_long: Lexeme | None = None


_OPENING = {"(": ")", "[": "]"}
_QUERY_WORDS = frozenset({"select", "with", "values", "table"})
_OPERATORS = frozenset({"~>", "|=>", "&", "|", "?>", "!>", "@>", "||"})
# `call (` is the beginning of no statement either, but CALL is: its author meant SQL.
_FORGOTTEN_SCHEMA = STEPS.keys() - {"call"}
_SUBMITTING = tuple(SUBMISSIONS.keys() - VARIABLES)
_CONSTANT_WORDS = frozenset(
    {"null", "true", "false", "array", "cast", "as", "variadic", "uescape", "operator"}
)
_TYPE_WORDS = frozenset(word for name in KNOWN_TYPES for word in name.split()) | {"zone"}


def split(text: str, start: int = 0, form: Form | None = None) -> Iterator[Statement]:
    """The statements of a text, in order, without empty ones. `form`: what they are known to be."""
    splitter = _Splitter(text, form)
    position = start
    while position < len(text):
        for lexeme in scan(text, position):
            position = lexeme.end
            finished = splitter.take(lexeme)
            yield from finished
            if finished and finished[-1].form is Form.COPY:
                position = _behind_copy_data(text, position)
                break
        else:
            break
    yield from splitter.finish()


def _behind_copy_data(text: str, position: int) -> int:
    """The position behind the data of a COPY FROM STDIN: behind its line `\\.`, where there is one."""
    marker = text.find("\n\\.", position)
    if marker == -1:
        return position
    line = text.find("\n", marker + 1)
    return len(text) if line == -1 else line


class _Splitter:
    """Takes lexemes, gives statements."""

    def __init__(self, text: str, form: Form | None) -> None:
        self._text = text
        self._known = form
        self._clear()

    def _clear(self) -> None:
        self._statement: Statement | None = None
        self._form: Form | None = self._known
        self._closing: list[str] = []
        self._words: list[str] = []
        self._atomic = 0
        self._copies = False
        self._previous = ""

    def take(self, lexeme: Lexeme) -> list[Statement]:
        """The statements that end with this lexeme: none, one, or one that a psql command cuts off."""
        if lexeme.kind is Kind.COMMENT or lexeme.kind is Kind.NUL:
            return []
        if lexeme.kind is Kind.BACKSLASH:
            self._clear()
            return [Statement(Form.PSQL, lexeme.start, lexeme.end)]
        written = self._text[lexeme.start : lexeme.end] if lexeme.end - lexeme.start <= 64 else ""
        if written == ";" and self._ends():
            return self.finish()
        if self._statement is None:
            self._statement = Statement(Form.SERVER, lexeme.start)
        self._add(self._statement, lexeme, written)
        return []

    def finish(self) -> list[Statement]:
        """The statement that ends here, if one has begun."""
        statement, form = self._statement, self._form
        if statement is None:
            self._clear()
            return []
        statement.form = form or _form(self._text, statement.lexemes, complete=True) or Form.SERVER
        if statement.form is Form.SERVER:
            statement.lexemes = []
            if self._copies:
                statement.form = Form.COPY
        self._clear()
        return [statement]

    def _ends(self) -> bool:
        """Whether a `;` ends the statement."""
        if self._words[:1] != ["create"]:
            return True
        return not self._closing and self._atomic == 0

    def _add(self, statement: Statement, lexeme: Lexeme, written: str) -> None:
        statement.end = lexeme.end
        if lexeme.kind in UNTERMINATED:
            statement.unterminated = lexeme
        if statement.too_deep is None and statement.too_long is None and self._form is not Form.SERVER:
            statement.lexemes.append(lexeme)
            if len(statement.lexemes) > STATEMENT_TOKENS_MAX:
                statement.too_long = lexeme
                statement.lexemes.clear()
        # Of `SELECT df.start(` the third and the fourth lexeme tell no more than the fifth.
        if self._form is None and (statement.opened or len(statement.lexemes) not in (3, 4)):
            self._form = _form(self._text, statement.lexemes, complete=False)
            if self._form is Form.SERVER:
                statement.lexemes = []
        if lexeme.kind is Kind.PUNCTUATION:
            self._bracket(statement, lexeme, written)
        elif lexeme.kind is Kind.IDENT:
            self._word(written.lower())
        self._previous = written.lower()

    def _bracket(self, statement: Statement, lexeme: Lexeme, written: str) -> None:
        if statement.too_deep is not None:
            return  # a million more of them would only take memory
        if written in _OPENING:
            self._closing.append(_OPENING[written])
            statement.opened.append(lexeme)
            limit = NESTING_LEVELS_MAX + (1 if self._form is Form.CALL else 0)
            if len(self._closing) > limit and self._form is not Form.SERVER:
                statement.too_deep = lexeme
                self._form = self._form or Form.BARE
                statement.lexemes.clear()
        elif self._closing and written == self._closing[-1]:
            self._closing.pop()
            statement.opened.pop()

    def _word(self, word: str) -> None:
        """Follow BEGIN ATOMIC ... END in a function, and COPY ... FROM STDIN."""
        if len(self._words) < 4:
            self._words.append(word)
        first = self._words
        if first[0] == "copy" and word == "stdin" and self._previous == "from" and not self._closing:
            self._copies = True
        if first[0] != "create" or self._closing or self._form is not Form.SERVER:
            return
        routine = first[3:4] if first[1:3] == ["or", "replace"] else first[1:2]
        if routine not in (["function"], ["procedure"]):
            return
        if word == "begin" or (word == "case" and self._atomic):
            self._atomic += 1
        elif word == "end" and self._atomic:
            self._atomic -= 1


def _form(text: str, head: list[Lexeme], *, complete: bool) -> Form | None:
    """What a statement is, from its first lexemes; None when more of them have to be seen."""
    depth = 0
    while depth < len(head) and head[depth].kind is Kind.PUNCTUATION and text[head[depth].start] == "(":
        depth += 1
    if depth == len(head):
        return Form.BARE if complete else None
    first = head[depth]
    words = [_name(text, lexeme) for lexeme in head[depth : depth + 5]]
    if first.kind is Kind.IDENT and depth and words[0] in _QUERY_WORDS:
        return Form.SERVER
    if depth or first.kind not in (Kind.IDENT, Kind.QUOTED_IDENT):
        return Form.BARE
    if words[0] == "df" or words[0] == "operator" or words[0] in _FORGOTTEN_SCHEMA:
        if len(words) < 2:
            return Form.SERVER if complete else None
        return Form.BARE if words[1] == ("." if words[0] == "df" else "(") else Form.SERVER
    if words[0] == "select" and first.kind is Kind.IDENT:
        pattern = ("select", "df", ".", "", "(")
        for index, word in enumerate(words[1:], start=1):
            if index == 3 and ((word in SUBMISSIONS and word not in VARIABLES) or _misspelt(word)):
                continue
            if index == 4 and head[depth + 4].kind in STRINGS:
                break
            if word != pattern[index]:
                return Form.SERVER
        if len(words) < 5:
            return Form.SERVER if complete else None
        return Form.CALL
    return Form.SERVER


def _misspelt(word: str) -> bool:
    """Whether a function of schema df is none, and one that submits a workflow was meant."""
    if word in HELPERS or word in STEPS or word in VARIABLES or word.startswith("_"):
        return False
    return bool(get_close_matches(word, _SUBMITTING, n=1, cutoff=0.8))


def _name(text: str, lexeme: Lexeme) -> str:
    """A word in lower case, a quoted identifier without its quotes, anything else as written."""
    if lexeme.end - lexeme.start > 64:
        return ""
    written = text[lexeme.start : lexeme.end]
    if lexeme.kind is Kind.QUOTED_IDENT:
        return written[1:-1]
    return written.lower()


def is_constant_call(text: str, lexemes: list[Lexeme]) -> bool:
    """Whether `SELECT df.start(...)` has nothing in or behind it that only a server can compute.

    Columns, sub-queries, other functions, other operators, an alias: then it is a query, not a workflow.
    """
    depth = 0
    for index in range(1, len(lexemes)):
        lexeme = lexemes[index]
        if lexeme.kind is Kind.PUNCTUATION:
            written = text[lexeme.start : lexeme.end]
            if written in _OPENING:
                depth += 1
            elif written in _OPENING.values():
                depth -= 1
                if depth == 0 and index + 1 < len(lexemes):
                    return False
        elif not _is_constant(text, lexemes, index):
            return False
    return True


def _is_constant(text: str, lexemes: list[Lexeme], index: int) -> bool:
    lexeme = lexemes[index]
    before = _name(text, lexemes[index - 1])
    if lexeme.kind in (Kind.PARAM, Kind.BIT_STRING):
        return False
    word = _name(text, lexeme)
    if lexeme.kind is Kind.OPERATOR:
        sign_of_number = word in ("-", "+") and (
            before in ("(", "[", ",", "=>", ":=", "-", "+") or before in _OPERATORS
        )
        return word in _OPERATORS or sign_of_number
    if lexeme.kind not in (Kind.IDENT, Kind.QUOTED_IDENT):
        return True
    after = _name(text, lexemes[index + 1]) if index + 1 < len(lexemes) else ""
    after_kind = lexemes[index + 1].kind if index + 1 < len(lexemes) else Kind.OTHER
    if before == ".":
        return word not in HELPERS or after != "("
    if after in ("=>", ":=") or (word in ("df", "pg_catalog") and after == "."):
        return True
    if lexeme.kind is Kind.IDENT and word in _CONSTANT_WORDS:
        return True
    if after == "(":
        return word in JSON_BUILDERS or word in _FORGOTTEN_SCHEMA or word in SUBMISSIONS
    return after_kind in STRINGS or word in _TYPE_WORDS
