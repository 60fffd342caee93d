"""Words in a statement that only its run would refuse: options, settings, names of arguments."""

from __future__ import annotations

from typing import Final, NamedTuple

from dfc.compiler.nearness import Near, near
from dfc.compiler.signatures import STEPS
from dfc.compiler.sql.http_arguments import arguments_of
from dfc.compiler.sql.setting_names import SETTINGS
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
    "copy": (
        *("format", "freeze", "delimiter", "null", "default", "header", "quote", "escape", "force_quote"),
        *("force_not_null", "force_null", "encoding", "on_error", "reject_limit", "log_verbosity"),
    ),
}
"""Of the servers that dfc runs on, all together."""
_FIELDS: Final = (
    *("year", "quarter", "month", "week", "day", "hour", "minute", "second", "dow", "doy", "epoch", "isodow"),
    *("isoyear", "julian", "century", "decade", "millennium", "milliseconds", "microseconds", "timezone"),
    *("timezone_hour", "timezone_minute"),
)
"""What EXTRACT takes from a moment or length of time."""
_SHORT_WORDS: Final = """
    c cent centuries d days decade decades decs h hours hr hrs j jd m microsecond microsecon mil millennia
    millisecond mils min mins minutes mon mons months ms msec msecond mseconds msecs qtr s sec seconds secs
    timezone_h timezone_m us usec usecond useconds usecs w weeks y years yr yrs now today tomorrow yesterday
    infinity
"""
_FIELDS_IN_SHORT: Final = frozenset(_SHORT_WORDS.split())
"""What PostgreSQL reads as one of these, of the first ten letters."""
_FORMATS: Final = ("text", "csv", "binary", "json")
_SETTING_LIKENESS_MIN: Final = 0.8
"""A setting that is less like a known one may be one of another server."""
_OF_SESSION: Final = frozenset({"session", "local"})
_NO_SETTING: Final = frozenset(
    {"time", "authorization", "characteristics", "transaction", "names", "schema", "xml"}
)
"""Words behind SET, RESET and SHOW that begin something else."""


class Unknown(NamedTuple):
    """`sql[start:end]` is no word that can stand there."""

    code: str
    message: str
    start: int
    end: int
    help: str
    near: Near | None


def unknown_word(sql: str, items: list[Token], kind: str) -> Unknown | None:
    """The first option that VACUUM, ANALYZE or COPY does not have; a setting that there is not."""
    if kind in ("set", "reset", "show"):
        return _unknown_setting(sql, items)
    known = _OPTIONS.get(kind, ())
    opening = _options_at(items) if kind == "copy" else 1
    if not known or not 0 < opening < len(items) - 1 or items[opening].word != "(":
        return None
    for part in arguments_of(items, opening):
        if kind == "copy" and len(part) == 2 and part[0].word == "format":
            value = part[1].word or sql[part[1].start + 1 : part[1].end - 1].lower()
            if near(value, _FORMATS) is not None and value not in _FORMATS:
                message = f"`COPY` has no format `{value}`"
                return _unknown("DF120", message, part[1], near(value, _FORMATS), _FORMATS)
        word = identifier(sql, part[0]) if part else None
        if word is not None and word not in known:
            message = f"`{kind.upper()}` has no option `{sql[part[0].start : part[0].end]}`"
            return _unknown(
                "DF120", message, part[0], near(word, [each for each in known if each != "analyse"]), known
            )
    return None


def _options_at(items: list[Token]) -> int:
    """Where the options of COPY begin: the first bracket outside of all others behind TO or FROM."""
    is_behind = False
    for index, item in enumerate(items):
        if item.depth == 0 and is_behind and item.word in ("(", "where"):
            return index if item.word == "(" else -1
        is_behind = is_behind or (item.depth == 0 and item.word in ("to", "from"))
    return -1


def _unknown_setting(sql: str, items: list[Token]) -> Unknown | None:
    place = 2 if len(items) > 1 and items[1].word in _OF_SESSION else 1
    dotted = len(items) > place + 1 and items[place + 1].word == "."
    if len(items) <= place or dotted or items[place].word in _NO_SETTING:
        return None
    word = identifier(sql, items[place])
    if word is None or word.lower() in SETTINGS:
        return None
    meant = near(word.lower(), SETTINGS, _SETTING_LIKENESS_MIN)
    return (
        None if meant is None else _unknown("DF120", f"there is no setting `{word}`", items[place], meant, ())
    )


def unknown_field(sql: str, items: list[Token]) -> Unknown | None:
    """The first field in `extract(field FROM ...)` that PostgreSQL does not know for any type."""
    for index in range(len(items) - 3):
        if items[index].word != "extract" or items[index + 1].word != "(" or items[index + 3].word != "from":
            continue
        field = items[index + 2]
        written = sql[field.start : field.end]
        word = (identifier(sql, field) or (written[1:-1] if written.startswith("'") else "")).lower()
        known = word in _FIELDS or word in _FIELDS_IN_SHORT or word[:10] in _FIELDS_IN_SHORT
        if word.isidentifier() and not known:
            return _unknown("DF120", f"`extract` has no field `{word}`", field, near(word, _FIELDS), _FIELDS)
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
