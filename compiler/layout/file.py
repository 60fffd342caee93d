"""A file in its canonical layout.

Only workflows are laid out; what goes to the server stays as it is. The result says the same: the tree of
each statement is compared with the one before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dfc.compiler.ast import Workflow
from dfc.compiler.diagnostics import Diagnostic, has_errors
from dfc.compiler.layout.document import Block, Document, Space, Text, printed
from dfc.compiler.layout.parentheses import leaves_of, with_parentheses
from dfc.compiler.layout.pieces import Laid, document, laid_token, shown
from dfc.compiler.layout.rules import Layout
from dfc.compiler.layout.steps import SqlLayout, with_sql
from dfc.compiler.layout.stream import (
    Item,
    Token,
    behind_commas,
    comment_item,
    items_of,
    line_breaks,
    tokens_of,
)
from dfc.compiler.parse import fold, parse_file, parsed_with_lexemes
from dfc.compiler.source import Source
from dfc.compiler.statements import NESTING_LEVELS_MAX, Form, Statement
from dfc.compiler.wire import write
from dfc.grammar.lexer import Kind, Lexeme, scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """A file in its layout; None where it has errors, which are among `problems`.

    `kept` are the statements that stay as they are because their layout would not say the same: none, unless
    this package has a fault.
    """

    text: str | None
    problems: tuple[Diagnostic, ...] = ()
    kept: int = 0


def format_file(source: Source, sql: SqlLayout | None = None) -> Formatted:
    """Lay out a file. One with an error in its grammar is left alone."""
    found: list[Diagnostic] = []
    parsed = list(parsed_with_lexemes(source, found))
    found.sort(key=lambda problem: problem.span.start)
    problems = tuple(problem for problem in found if problem.severity != "note")
    if has_errors(problems):
        return Formatted(text=None, problems=problems)
    text = source.text
    blocks: dict[int, Block] = {}
    if sql is not None:
        text, blocks = with_sql(text, [meaning for _, meaning in parsed], sql)
        if text != source.text:
            parsed = list(parsed_with_lexemes(Source(source.name, text), []))
    line_end = _line_end(text, [statement for statement, _ in parsed])
    writer = _Writer(text, line_end)
    kept = 0
    for statement, meaning in parsed:
        laid = None
        if isinstance(meaning, Workflow):
            laid = _laid_out(text, statement, meaning, line_end, blocks)
            kept += laid is None
        writer.statement(statement, laid)
    return Formatted(text=writer.finished(), problems=problems, kept=kept)


def _laid_out(
    text: str, statement: Statement, meaning: Workflow, line_end: str, blocks: Mapping[int, Block]
) -> str | None:
    """The statement in its layout; None, so that it stays as it is, should that not say the same."""
    call = statement.form is Form.CALL
    items = behind_commas(items_of(text, statement.lexemes))
    head, rest = (items[:1], items[1:]) if call else ([], items)
    while call and rest[0].comment:
        head, rest = [*head, rest[0]], rest[1:]
    levels = NESTING_LEVELS_MAX + (1 if call else 0)
    grouped = with_parentheses(rest, levels)
    tokens = tokens_of([*head, *grouped])
    if call:
        tokens[0] = Token(text="SELECT", type="SELECT", trailing=tokens[0].trailing, ends=tokens[0].ends)
    written = printed((_document(tokens, call, blocks), Text(";")), line_end)
    if grouped is rest and not blocks and _says(written, tokens):
        return written
    return written if _same(written, meaning, moved=bool(blocks)) else None


def _document(tokens: list[Token], call: bool, blocks: Mapping[int, Block]) -> Document:
    inside = tokens[1 if call else 0 :]
    leaves = leaves_of([token.type for token in inside], [token.text for token in inside])
    mine = {index: blocks[token.start] for index, token in enumerate(inside) if token.start in blocks}
    laid = fold(leaves, Layout(inside, mine).build)
    assert isinstance(laid, Laid)
    if not call:
        return document(laid)
    return (document(laid_token(tokens[0])), Space(), document(laid))


def _says(written: str, tokens: Sequence[Token]) -> bool:
    """Whether a text is these tokens and no more: so it means the same, and need not be parsed."""
    lexemes = [each for each in scan(written) if each.kind is not Kind.COMMENT]
    found = [written[each.start : each.end] for each in lexemes]
    return found == [*(shown(token) for token in tokens), ";"]


def _same(written: str, meaning: Workflow, *, moved: bool) -> bool:
    """Whether the text means what the statement did; but for white space where SQL has been moved."""
    parsed = parse_file(Source("", written))
    again = parsed.statements
    if has_errors(parsed.problems) or len(again) != 1 or not isinstance(again[0], Workflow):
        return False
    return _essence(again[0], moved) == _essence(meaning, moved)


_LENGTH = re.compile(r"/\*dfc:[0-9:]+\*/")
_WHITE = re.compile(r"(?: |\\[nrt])+")


def _essence(workflow: Workflow, moved: bool) -> tuple[object, ...]:
    """What a workflow means, without places."""
    later = workflow.on_failure
    # As text, because trees nest deeper than a comparison goes.
    texts = [write(workflow.body, workflow.params), "" if later is None else write(later)]
    if moved:
        texts = [_WHITE.sub(" ", _LENGTH.sub("", text)) for text in texts]
    return (*texts, workflow.label, workflow.kind, dict(workflow.options))


# Between statements


class _Writer:
    """Puts statements and what stands between them together."""

    def __init__(self, text: str, line_end: str) -> None:
        self._text = text
        self._line_end = line_end
        self._parts: list[str] = []
        self._position = 0
        self._server = False

    def statement(self, statement: Statement, laid: str | None) -> None:
        """Add a statement; `laid` is its layout with its semicolon, None where it stays as it is."""
        server = laid is None
        self._gap(statement.start, server=server, last=False)
        if laid is not None:
            self._parts.append(laid)
            self._position = statement.end
        else:
            self._position = self._semicolon(statement.end)
            self._parts.append(self._text[statement.start : self._position])
        self._server = server

    def finished(self) -> str:
        """The whole text."""
        self._gap(len(self._text), server=False, last=True)
        return "".join(self._parts)

    def _semicolon(self, end: int) -> int:
        """Behind the semicolon of the statement that ends there; there, if it has none."""
        for lexeme in scan(self._text, end):
            if lexeme.kind is not Kind.COMMENT:
                return lexeme.end
        return end

    def _gap(self, end: int, *, server: bool, last: bool) -> None:
        """The comments up to the next statement, and its line breaks: no more than one blank line."""
        comments, breaks = self._comments(end)
        begun = bool(self._parts)
        first = next((index for index, each in enumerate(comments) if each.breaks), len(comments))
        if not breaks and not last:
            first = 0
        if not begun:
            first = 0
        for each in comments[:first]:
            self._parts.append(("  " if each.text.startswith("--") else " ") + each.text)
        ended = begun and not (self._server and server and not comments and not breaks)
        behind = comments[first:]
        for index, each in enumerate(behind):
            following = behind[index + 1].breaks if index + 1 < len(behind) else breaks
            if index == 0 and begun:
                self._break(each.breaks)
            self._parts.append(each.text)
            if following or last or each.text.startswith("--"):
                self._break(0 if last and index + 1 == len(behind) else following)
            else:
                self._parts.append(" ")
        if not behind and begun:
            if last:
                self._break(0)
            elif ended:
                self._break(breaks)
            else:
                self._parts.append(" ")

    def _break(self, breaks: int) -> None:
        self._parts.append(self._line_end * (2 if breaks > 1 else 1))

    def _comments(self, end: int) -> tuple[list[Item], int]:
        """The comments from here to there, and the line breaks behind them."""
        found: list[Item] = []
        position, missed = self._position, 0
        for lexeme in scan(self._text, position, end):
            if lexeme.kind is Kind.COMMENT:
                item = comment_item(self._text, position, lexeme)
                found.append(Item(text=item.text, type=item.type, breaks=item.breaks + missed))
                missed = 0
            else:
                missed += line_breaks(self._text, position, lexeme.start)
            position = lexeme.end
        return found, missed + line_breaks(self._text, position, end)


def _line_end(text: str, statements: Sequence[Statement]) -> str:
    """What ends the lines of a file: the first line end that is no part of a string, comment or statement."""
    position = 0
    for start, end in _fixed(statements):
        for lexeme in (*scan(text, position, start), Lexeme(Kind.OTHER, start, start)):
            found = _first_end(text, position, lexeme.start)
            if found:
                return found
            position = lexeme.end
        position = end
    return _first_end(text, position, len(text)) or _first_end(text, 0, len(text)) or "\n"


def _fixed(statements: Sequence[Statement]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for statement in statements:
        if statement.form is Form.SERVER or not statement.lexemes:
            found.append((statement.start, statement.end))
        else:
            found += [(lexeme.start, lexeme.end) for lexeme in statement.lexemes]
    return found


def _first_end(text: str, start: int, end: int) -> str:
    for place in range(start, end):
        if text[place] == "\n":
            return "\n"
        if text[place] == "\r":
            return "\r\n" if text.startswith("\r\n", place) else "\r"
    return ""
