"""The parse tables of the grammar: stored at build time, and computed where they are missing or stale.

Only the computing needs Lark, whose import takes as long as much of the compiler's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

_FOLDER: Final = Path(__file__).parent
_GRAMMAR: Final = _FOLDER / "dfsql.lark"
STORED: Final = _FOLDER / "dfsql.tables"
_FORM: Final = 1
"""Of what is stored; another form is not read."""

END: Final = "$END"
"""The terminal behind the last token."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """What is done in a state in which all `size` parts of a rule are there, which are then one: a `symbol`.

    `alone`: the one part is what the whole is. `single`: so it is where only one is left. `hidden`: the parts
    are for another rule, which takes them one by one; `spread` says which parts of this rule are such.
    """

    rule: str
    symbol: str
    size: int
    single: bool
    hidden: bool
    spread: tuple[int, ...]
    alone: bool


Action: TypeAlias = "int | Reduction"
"""The state to go to with a token, or the rule that is complete."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What to do in a state with a terminal, and where to go with what a rule has made.

    In the state `end` all has been read.
    """

    start: int
    end: int
    actions: tuple[dict[str, Action], ...]
    targets: tuple[dict[str, int], ...]


@cache
def tables() -> Tables:
    """The tables of the grammar."""
    return _stored() or _read(json.loads(_computed()))


def store(path: Path | None = None) -> None:
    """Compute the tables and write them to a file (the build hook does)."""
    (path or STORED).write_text(f"{_stamp()}\n{_computed()}", encoding="utf-8")


def _stored() -> Tables | None:
    try:
        stamp, _, written = STORED.read_text(encoding="utf-8").partition("\n")
        return _read(json.loads(written)) if stamp == _stamp() else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # a cache that cannot be read is no cache


def _stamp() -> str:
    """What the tables depend on."""
    return f"{_FORM} {hashlib.sha256(_GRAMMAR.read_bytes()).hexdigest()}"


def _read(stored: Any) -> Tables:
    rules = [
        Reduction(rule, symbol, size, single, hidden, tuple(spread), single and size == 1)
        for rule, symbol, size, single, hidden, spread in stored["rules"]
    ]
    actions: list[dict[str, Action]] = [
        {terminal: action if action >= 0 else rules[-action - 1] for terminal, action in state.items()}
        for state in stored["actions"]
    ]
    return Tables(
        start=stored["start"], end=stored["end"], actions=tuple(actions), targets=tuple(stored["targets"])
    )


def _computed() -> str:
    """The tables as JSON: a number is the state to go to, a negative one counts the rules from the first."""
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Tokens come from our own lexer."""

        def __init__(self, lexer_conf: object) -> None:
            del lexer_conf

        def lex(self, lexer_state: Any, parser_state: Any) -> Any:  # pragma: no cover
            return iter(())

    text = _GRAMMAR.read_text(encoding="utf-8")
    lark = Lark(text, parser="lalr", lexer=NoLexer, maybe_placeholders=False, keep_all_tokens=True)
    table = cast(Any, lark).parser.parser._parse_table
    rules: dict[Any, int] = {}
    actions: list[dict[str, int]] = []
    targets: list[dict[str, int]] = []
    for state in range(len(table.states)):
        actions.append({})
        targets.append({})
        for symbol, (_, target) in table.states[state].items():
            if not str(symbol).isupper():
                targets[-1][str(symbol)] = target
            elif isinstance(target, int):
                actions[-1][str(symbol)] = target
            else:
                actions[-1][str(symbol)] = -1 - rules.setdefault(target, len(rules))
    return json.dumps(
        {
            "start": table.start_states["start"],
            "end": table.end_states["start"],
            "rules": [_rule(rule) for rule in rules],
            "actions": actions,
            "targets": targets,
        },
        separators=(",", ":"),
    )


def _rule(rule: Any) -> list[object]:
    symbol = str(rule.origin.name)
    spread = [index for index, part in enumerate(rule.expansion) if part.name.startswith("_")]
    single = bool(rule.options.expand1) and rule.alias is None
    name = str(rule.alias or symbol)
    return [name, symbol, len(rule.expansion), single, symbol.startswith("_"), spread]
