"""What comes of the steps of a plan, decided by a seed and the step's path alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import Any

from dfc.compiler.plan import Request, Returns, SqlBody
from dfc.executor.journal import Rows, StepError, Value
from tests.simulate.places import where
from tests.simulate.values import BOOL, INT, NONCE, TEXT, text_of

CONFLICTS = ("40001", "40P01", "55P03", "57014")
LOSSES = ("08006", "57P01", "53300")
ERRORS = ("22012", "23505")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What comes of an activation's executions.

    First `transients`, one each, then `errors` times (None: for ever) `error`, then success. `for_ever`: the
    transient error `error` never stops. Each takes the server `seconds`.
    """

    transients: tuple[str, ...] = ()
    error: str | None = None
    errors: int | None = None
    for_ever: bool = False
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class Fates:
    """The fates of all paths of an instance.

    `badness` is how likely a step is to have trouble of its own, `slowness` how likely it takes long.
    `forced` names steps whose truth ends a loop: at the round `rounds_max` of the loop at the latest it is
    the value given.
    """

    seed: str
    badness: float = 0.0
    slowness: float = 0.0
    doomed: frozenset[str] = frozenset()
    """Steps that fail, whatever the badness."""
    forced: Mapping[str, tuple[str, bool]] = field(default_factory=dict[str, tuple[str, bool]])
    rounds_max: int = 4
    _known: dict[str, Fate] = field(default_factory=dict[str, Fate])

    def number(self, what: str, path: str) -> int:
        """A number that depends on the arguments and the seed."""
        text = f"{self.seed}\0{what}\0{path}".encode()
        return int.from_bytes(blake2b(text, digest_size=6).digest(), "big")

    def of(self, path: str) -> Fate:
        """The fate of an activation."""
        fate = self._known.get(path)
        if fate is None:
            fate = self._made(Random(self.number("fate", path)))
            if where(path).node in self.doomed and not path.endswith("/request"):
                fate = Fate(error=ERRORS[0], seconds=fate.seconds)
            self._known[path] = fate
        return fate

    def _made(self, random: Random) -> Fate:
        seconds = random.choice((0.2, 1.0, 4.0)) * random.random() if random.random() < self.slowness else 0.0
        if random.random() >= self.badness:
            return Fate(seconds=seconds)
        kind = random.choice(("conflicts", "losses", "error", "error", "errors", "for ever"))
        if kind == "conflicts":
            count = random.randint(1, 4)
            return Fate(transients=tuple(random.choices(CONFLICTS, k=count)), seconds=seconds)
        if kind == "losses":
            return Fate(transients=tuple(random.choices(LOSSES, k=random.randint(1, 7))), seconds=seconds)
        if kind == "for ever":
            states = LOSSES if random.random() < 0.3 else CONFLICTS
            return Fate(error=random.choice(states), for_ever=True, seconds=seconds)
        transients = tuple(random.choices(CONFLICTS, k=random.randint(0, 1)))
        errors = None if kind == "error" else random.randint(1, 3)
        return Fate(transients=transients, error=random.choice(ERRORS), errors=errors, seconds=seconds)

    def truth(self, path: str) -> bool:
        """Whether the result of an activation is true."""
        at = where(path)
        if (end := self.forced.get(at.node)) is not None:
            loop, value = end
            rounds = next((number for id, number in reversed(at.frames) if id == loop), self.rounds_max)
            last = 1 + self.number("rounds", at.frame.rsplit("[", 1)[0]) % self.rounds_max
            return value if rounds >= last or self.number("leave", path) % 5 == 0 else not value
        return self.number("truth", path) % 5 < 3

    def large(self, path: str) -> bool:
        """Whether a result is one of those that are not brought back with the journal."""
        return self.number("large", path) % 8 == 0


def sql_result(
    fates: Fates, path: str, body: SqlBody, seen: Mapping[str, Any], nonce: str, rows: int | None = None
) -> Rows:
    """What the model's statement returns: it depends on the path, the sources' values, and nothing else.

    `rows`: how many there are, where that matters.
    """
    told = json.dumps([path, seen], sort_keys=True)
    text = blake2b(told.encode(), digest_size=6).hexdigest()
    true = fates.truth(path)
    if body.returns is Returns.COUNT:
        return Rows(columns=(), types=(), cells=(), row_count=1 + int(text, 16) % 9 if true else 0)
    forms: Sequence[tuple[int, str | None]] = _TRUE if true else _FALSE
    type, cell = forms[fates.number("form", path) % len(forms)]
    if rows is None:
        rows = 0 if type == 0 else 1
    cells: list[str | None] = []
    for row in range(rows):
        first = row == 0 and cell != ""
        cells += (cell if first else _further(type, f"v{text}:{row}", row), f"{text}:{row}", nonce)
    return Rows(
        columns=("v", "h", NONCE), types=(type or TEXT, TEXT, TEXT), cells=tuple(cells), row_count=rows
    )


def _further(type: int, text: str, row: int) -> str:
    """A cell of the first column that is not the first one."""
    if type == BOOL:
        return "tf"[row % 2]
    return str(row) if type == INT else text


_TRUE: Sequence[tuple[int, str | None]] = ((TEXT, ""), (TEXT, ""), (BOOL, "t"), (INT, "7"), (TEXT, "on"))
_FALSE: Sequence[tuple[int, str | None]] = ((0, ""), (TEXT, None), (BOOL, "f"), (INT, "0"), (TEXT, "off"))


def http_result(fates: Fates, path: str, request: Request | Rows, many: bool) -> Value:
    """What the model's endpoint answers; an array with an answer a row, for a computed request with many."""
    asked = request.url if isinstance(request, Request) else text_of(request)
    text = blake2b(f"{path}\0{asked}".encode(), digest_size=6).hexdigest()
    count = request.row_count if many and isinstance(request, Rows) else 1
    answers: list[dict[str, Any]] = [
        {"status": 200, "body": f"{text}:{at}", "headers": {}, "ok": fates.truth(path)} for at in range(count)
    ]
    return Value(json=json.dumps(answers if many else answers[0]))


def error_of(path: str, sqlstate: str) -> StepError:
    """The error of the model's step that has to fail."""
    return StepError(step=where(path).node, message=f"{path} fails", sqlstate=sqlstate)
