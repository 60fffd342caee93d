"""What a name is: of a step, of a binding, of a reference that stands alone."""

from __future__ import annotations

import re

from dfc.grammar.lexer import reference_of

NAME_CHARACTERS_MAX = 63
RESERVED = frozenset({"input", "item", "error"})

_IDENTIFIER = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERS = re.compile(r"\$[A-Za-z_]")
SPACE = " \t\n\r\f\v"


def is_identifier(text: str) -> bool:
    """Whether a text is one bare identifier of PostgreSQL, so that it is a name and never SQL."""
    return _IDENTIFIER.fullmatch(text) is not None


def is_blank(text: str) -> bool:
    """Whether a text has nothing but white space."""
    return not text.strip(SPACE)


def is_reference(text: str) -> bool:
    """Whether a text is exactly one reference (`$x`, `$x.c?`), so that it stands for that value."""
    if not text.startswith("$"):
        return False
    try:
        reference_of(text)
    except ValueError:
        return False
    return True


def refers(text: str) -> bool:
    """Whether a text has something like a reference in it, so that what it says shows when its step runs."""
    return _REFERS.search(text) is not None


def name_fault(name: str) -> str:
    """Why a text cannot be the name of a step or a binding; empty when it can."""
    if _NAME.fullmatch(name) is None:
        return "has to be letters, digits and `_`, and begin with a letter or `_`"
    if len(name) > NAME_CHARACTERS_MAX:
        return f"has over {NAME_CHARACTERS_MAX} characters"
    if name in RESERVED:
        return "is reserved"
    return ""
