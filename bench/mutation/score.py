"""How much each depth finds, and whether it points at the right token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.mutation.depths import Depth
from bench.mutation.mutants import WAYS, Mutant, Needs, Way
from bench.mutation.oracle import Oracle, Refusal
from bench.mutation.seeds import Seed
from dfc.compiler.diagnostics import Diagnostic, Severity, has_errors
from dfc.compiler.span import Span


@dataclass(slots=True)
class Count:
    """Of the mutants that a depth should find: how many it does, and how many at the right token."""

    mutants: int = 0
    caught: int = 0
    exact: int = 0

    def add(self, other: Count) -> None:
        self.mutants += other.mutants
        self.caught += other.caught
        self.exact += other.exact


@dataclass(frozen=True, slots=True)
class Miss:
    """A mutant that a depth does not find, or whose place it does not."""

    depth: str
    way: str
    seed: str
    mutant: Mutant
    refusal: Refusal | None
    problems: tuple[Diagnostic, ...]


@dataclass(slots=True)
class Scores:
    """By the name of a way and of a depth; and what was missed."""

    counts: dict[tuple[str, str], Count] = field(default_factory=dict[tuple[str, str], Count])
    misses: list[Miss] = field(default_factory=list[Miss])
    same: int = 0
    """Mutants that PostgreSQL takes, or cannot be asked about."""


def chosen(seed: Seed, way: Way, each: int) -> list[Mutant]:
    """At most `each` mutants of a seed, the same in every run."""
    everything = [mutant for mutant in way.breaks(seed) if mutant.text != seed.text]
    if len(everything) <= each:
        return everything
    return seed.chance(way.name).sample(everything, each)


def run(seeds: Iterable[Seed], depths: dict[str, Depth], oracle: Oracle, each: int) -> Scores:
    """Break every seed in every way, and look at each mutant at each depth."""
    scores = Scores()
    for seed in seeds:
        lone = seed.schema == "corpus"
        work = [(way, mutant) for way in WAYS if way.inner or not lone for mutant in chosen(seed, way, each)]
        edits = {number: mutant.edit for number, (_, mutant) in enumerate(work) if mutant.edit is not None}
        verdicts = oracle.judge(seed, edits)
        for number, (way, mutant) in enumerate(work):
            refusal = verdicts.get(number)
            if way.needs is Needs.ORACLE and refusal is None:
                scores.same += 1
                continue
            plain: list[Diagnostic] = []
            for name, depth in depths.items():
                # What the text alone shows is not looked for once more; what it shows of columns is.
                shown = has_errors([problem for problem in plain if problem.code != "DF406"])
                known = plain if shown else list(depth(seed, mutant.text))
                plain = known if name == "offline" else plain
                if name != "offline" or refusal is None or refusal.syntax:
                    _look(scores, name, known, seed, way, mutant, refusal)
    return scores


def _look(
    scores: Scores,
    name: str,
    known: list[Diagnostic],
    seed: Seed,
    way: Way,
    mutant: Mutant,
    refusal: Refusal | None,
) -> None:
    lints = way.needs is Needs.LINT
    severities = {Severity.ERROR, Severity.LINT} if lints else {Severity.ERROR}
    problems = [problem for problem in known if problem.severity in severities]
    count = scores.counts.setdefault((way.name, name), Count())
    count.mutants += 1
    count.caught += bool(problems)
    exact = any(_inside(problem.span, place) for problem in problems for place in _places(mutant, refusal))
    count.exact += exact
    if not exact:
        scores.misses.append(Miss(name, way.name, seed.name, mutant, refusal, tuple(problems)))


def _places(mutant: Mutant, refusal: Refusal | None) -> Iterator[Span]:
    yield from mutant.places
    if refusal is not None and refusal.place is not None:
        yield refusal.place


def _inside(span: Span, place: Span) -> bool:
    """Whether a message points at this token or part of it."""
    return place.start <= span.start < max(place.end, place.start + 1)
