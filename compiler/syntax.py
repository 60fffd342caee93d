"""Tokens as the grammar knows them, and what to say where they do not fit."""

from __future__ import annotations

from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.signatures import STEPS, SUBMISSIONS
from dfc.compiler.span import Span
from dfc.grammar.lexer import STRINGS, Kind, Lexeme

_MARKS = {
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    ",": "COMMA",
    ".": "DOT",
    "::": "TYPECAST",
    "=>": "ARROW",
    ":=": "ARROW",
    "~>": "CHAIN",
    "|=>": "FAN",
    "&": "JOIN",
    "|": "RACE",
    "?>": "THEN",
    "!>": "ELSE",
    "||": "CONCAT",
    "@>": "LOOP",
    "-": "MINUS",
    "+": "PLUS",
}
_WORDS = {
    "null": "NULL",
    "true": "TRUE",
    "false": "FALSE",
    "array": "ARRAY",
    "cast": "CAST",
    "as": "AS",
    "variadic": "VARIADIC",
}
_PHRASES = (
    ("CHAIN", "an operator (`~>`, `|=>`, `&`)"),
    ("STRING", "a string, `(` or a `df.` function"),
    ("COMMA", "`,`"),
    ("RPAR", "`)`"),
    ("RSQB", "`]`"),
    ("AS", "`AS`"),
    ("DOT", "`.`"),
    ("LPAR", "`(`"),
    ("LSQB", "`[`"),
    ("NUMBER", "a number"),
    ("IDENT", "a name"),
    ("$END", "the end of the statement"),
)
# What may follow a word that begins an operand: it is a function's or a type's name.
_BEHIND_A_WORD = frozenset({"STRING", "IDENT"})


def terminal_of(text: str, lexemes: list[Lexeme], index: int) -> str | None:
    """The terminal of the grammar that a lexeme is, None when it is none."""
    lexeme = lexemes[index]
    match lexeme.kind:
        case Kind.STRING | Kind.ESCAPE_STRING | Kind.UNICODE_STRING | Kind.DOLLAR_STRING:
            return "STRING"
        case Kind.NUMBER:
            return "NUMBER"
        case Kind.QUOTED_IDENT:
            return "IDENT"
        case Kind.PUNCTUATION | Kind.OPERATOR:
            return _MARKS.get(text[lexeme.start : lexeme.end]) if lexeme.end - lexeme.start <= 3 else None
        case Kind.IDENT:
            return _word(text, lexemes, index)
        case _:
            return None


def _word(text: str, lexemes: list[Lexeme], index: int) -> str:
    """A word; a keyword only where PostgreSQL takes it for one: never behind a dot."""
    before = lexemes[index - 1] if index else None
    if before is not None and text[before.start : before.end] == ".":
        return "IDENT"
    word = text[lexemes[index].start : lexemes[index].end].lower() if _short(lexemes[index]) else ""
    if word == "operator" and index + 1 < len(lexemes) and text[lexemes[index + 1].start] == "(":
        return "OPERATOR"
    if word == "uescape" and before is not None and before.kind is Kind.UNICODE_STRING:
        return "UESCAPE"
    return _WORDS.get(word, "IDENT")


def _short(lexeme: Lexeme) -> bool:
    return lexeme.end - lexeme.start <= 64


def _shown(text: str, lexeme: Lexeme) -> str:
    written = text[lexeme.start : min(lexeme.end, lexeme.start + 41)].split("\n")[0]
    return written if len(written) == lexeme.end - lexeme.start else f"{written[:40]}..."


def _expected(accepted: frozenset[str]) -> str:
    phrases = [phrase for terminal, phrase in _PHRASES if terminal in accepted]
    if "STRING" in accepted:
        phrases = [phrase for phrase in phrases if phrase not in ("`(`", "a number", "a name")]
    if not phrases:
        return ""
    return "expected " + (phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} or {phrases[-1]}")


def is_call_without_parenthesis(text: str, lexemes: list[Lexeme], index: int) -> bool:
    """Whether a string stands right behind the name of a node function (`df.step 'a'`).

    The grammar would take the name for that of a type.
    """
    if lexemes[index].kind not in STRINGS or index < 3:
        return False
    schema, dot, name = [text[lexeme.start : lexeme.end].lower() for lexeme in lexemes[index - 3 : index]]
    return dot == "." and schema == "df" and (name in STEPS or name in SUBMISSIONS)


def unclosed(text: str, lexeme: Lexeme) -> Diagnostic:
    """A string, quoted name or comment that never ends: the span is what opens it."""
    match lexeme.kind:
        case Kind.UNTERMINATED_DOLLAR:
            opening = text[lexeme.start : text.index("$", lexeme.start + 1) + 1]
            what, closing = f"the string that `{opening[:40]}` begins", opening[:40]
        case Kind.UNTERMINATED_COMMENT:
            opening, what, closing = "/*", "this comment", "*/"
        case Kind.UNTERMINATED_IDENT:
            opening, what, closing = '"', "this quoted name", '"'
        case _:
            opening, what, closing = (
                text[lexeme.start : text.index("'", lexeme.start) + 1],
                "this string",
                "'",
            )
    return error(
        "DF102",
        f"{what} never ends",
        Span(lexeme.start, lexeme.start + len(opening)),
        label="it begins here",
        help=f"add the missing `{closing}`",
    )


def unexpected(text: str, lexemes: list[Lexeme], index: int, accepted: frozenset[str]) -> Diagnostic:
    """A token that cannot stand where it stands."""
    lexeme = lexemes[index]
    before = lexemes[index - 1] if index else None
    if before is not None and before.kind is Kind.IDENT and accepted >= _BEHIND_A_WORD:
        return _bare_word(text, lexemes, index - 1)
    operator_missing = "CHAIN" in accepted
    help = ""
    message = f"unexpected `{_shown(text, lexeme)}`"
    match lexeme.kind:
        case Kind.BAD_NUMBER:
            message = f"`{_shown(text, lexeme)}` is a number with junk behind it"
            help = "write a blank behind the number, or quotes around the text"
        case Kind.BIT_STRING:
            message = "a bit string has no place in a workflow"
            help = "write the SQL that it belongs to in quotes"
        case Kind.REFERENCE:
            message = f"`{_shown(text, lexeme)}` stands outside of SQL"
            help = "put the SQL that it belongs to in quotes"
        case _ if accepted == frozenset({"LPAR"}):
            help = f"write `(` in front of `{_shown(text, lexeme)}`"
        case Kind.NUMBER if operator_missing:
            help = "write a number as an argument by its name"
        case kind if kind in STRINGS and operator_missing and before is not None and before.kind in STRINGS:
            message = "two strings without an operator between them"
            help = "write `~>` between two steps, or a line break between the parts of one string"
        case kind if kind in STRINGS and operator_missing:
            help = "write `~>` in front of the next step"
        case Kind.IDENT | Kind.QUOTED_IDENT if not operator_missing and "STRING" in accepted:
            help = "a workflow is built from strings and `df.` functions: put SQL in quotes"
        case Kind.OPERATOR if text[lexeme.start : lexeme.end] == "@>" and operator_missing:
            help = "`@>` stands in front of what it repeats: write `a ~> (@> b)`"
        case Kind.OPERATOR if operator_missing:
            help = "the operators are `~>`, `|=>`, `&`, `|`, `?>`, `!>`, and `||` between strings"
        case _:
            pass
    where = Span(lexeme.start, lexeme.end)
    return error(
        "DF101", message, where, label=_expected(accepted), help=help or _way_out(text, lexeme, accepted)
    )


def _way_out(text: str, lexeme: Lexeme, accepted: frozenset[str]) -> str:
    """What to do about a token that nothing more is known of."""
    shown = _shown(text, lexeme)
    if shown in (")", "]"):
        return f"remove this `{shown}`, or write what belongs in front of it"
    if "STRING" in accepted and "CHAIN" not in accepted:
        return f"write what belongs in front of `{shown}`, or remove it"
    return f"remove `{shown}`, or put the SQL that it belongs to in quotes"


def _bare_word(text: str, lexemes: list[Lexeme], index: int) -> Diagnostic:
    """A word that is neither the name of a function nor of a type: SQL without quotes, or a column."""
    while index and lexemes[index - 1].kind is Kind.IDENT:
        index -= 1
    lexeme = lexemes[index]
    return error(
        "DF101",
        f"`{_shown(text, lexeme)}` stands outside of quotes",
        Span(lexeme.start, lexeme.end),
        label="expected a string, `(` or a `df.` function",
        help="put SQL in quotes: a workflow is built from strings and `df.` functions",
    )


def end_of_input(text: str, lexemes: list[Lexeme], accepted: frozenset[str]) -> Diagnostic:
    """A statement that ends too early: the span is its last token."""
    last = lexemes[-1]
    help = "write what is missing"
    if last.kind is Kind.IDENT and accepted >= _BEHIND_A_WORD:
        return _bare_word(text, lexemes, len(lexemes) - 1)
    if last.kind is Kind.OPERATOR:
        help = f"write what comes behind `{_shown(text, last)}`, or remove it"
    if text[last.start : last.end] == ".":
        help = "write the name of a function, for example `df.step`"
    where = Span(last.start, last.end)
    return error("DF101", "the statement ends too early", where, label=_expected(accepted), help=help)
