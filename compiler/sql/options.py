"""Words in a statement that only its run would refuse: options of VACUUM and ANALYZE, names of arguments."""

from __future__ import annotations

from typing import Final, NamedTuple

from dfc.compiler.nearness import Near, near
from dfc.compiler.signatures import STEPS
from dfc.compiler.sql.http_arguments import arguments_of
from dfc.compiler.sql.tokens import Token, identifier

_ANALYZE: Final = ("verbose", "skip_locked", "buffer_usage_limit")
_OPTIONS: Final = {
    "vacuum": (
        *(
            "analyze",
            "analyse",
            "full",
            "freeze",
            "disable_page_skipping",
            "index_cleanup",
            "truncate",
            "parallel",
        ),
        *("process_main", "process_toast", "skip_database_stats", "only_database_stats"),
        *_ANALYZE,
    ),
    "analyze": _ANALYZE,
}
"""Of the servers that dfc runs on, all together."""


class Unknown(NamedTuple):
    """`sql[start:end]` is no word that can stand there."""

    code: str
    message: str
    start: int
    end: int
    help: str
    near: Near | None


def unknown_option(sql: str, items: list[Token], kind: str) -> Unknown | None:
    """The first option in brackets that VACUUM or ANALYZE does not have."""
    known = _OPTIONS.get(kind, ())
    if not known or len(items) < 3 or items[1].word != "(":
        return None
    for part in arguments_of(items, 1):
        word = identifier(sql, part[0]) if part else None
        if word is not None and word not in known:
            message = f"`{kind.upper()}` has no option `{sql[part[0].start : part[0].end]}`"
            return _unknown(
                "DF120", message, part[0], near(word, [each for each in known if each != "analyse"]), known
            )
    return None


def unknown_argument(sql: str, items: list[Token], call: int) -> Unknown | None:
    """The first argument of a `df.http` that is given by a name which it does not have."""
    function = identifier(sql, items[call + 2]) or ""
    signature = STEPS.get(function)
    if signature is None or items[call + 3].word != "(":
        return None
    known = tuple([parameter.name for parameter in signature.every])
    for part in arguments_of(items, call + 3):
        if len(part) < 2 or part[1].word not in ("=>", ":="):
            continue
        word = identifier(sql, part[0])
        if word is not None and word not in known:
            message = f"`df.{function}` has no argument `{word}`"
            return _unknown("DF160", message, part[0], near(word, known), known)
    return None


def _unknown(code: str, message: str, token: Token, meant: Near | None, known: tuple[str, ...]) -> Unknown:
    help = (
        f"did you mean `{meant.word}`?"
        if meant
        else f"write one of {', '.join(f'`{each}`' for each in known[:8])}"
    )
    return Unknown(code, message, token.start, token.end, help, meant)
