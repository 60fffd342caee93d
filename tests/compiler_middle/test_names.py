"""Names, against all runs: a small workflow is run in every way it can go, and each reference asked there.

A reference that the compiler takes has a value in every run, one of those that the compiler says it may mean,
and the one that ran last. A reference that it refuses finds nothing in some run; one that it refuses also
with `?` finds nothing in any.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from dfc.compiler.ast import (
    Bind,
    Break,
    Chain,
    Compensate,
    Expression,
    FanOut,
    If,
    Join,
    Loop,
    Map,
    Race,
    Retry,
    Sql,
    Timeout,
    Try,
)
from dfc.compiler.links import Why
from dfc.compiler.outline import outline, parts_of
from dfc.compiler.plan_verify import verify
from dfc.compiler.scope import Scope, resolve
from dfc.compiler.sql.references import Reference, reference_at
from tests.compiler_middle.trees import (
    attempt,
    bind,
    choose,
    compiled,
    each,
    fan_out,
    join,
    leave,
    limited,
    loop,
    race,
    retry,
    sql,
    undone,
)
from tests.compiler_middle.trees import chain as chained
from tests.depth import depth

RUNS_MAX = 300
ROUNDS_MAX = 3

Rounds = tuple[tuple[int, int], ...]
Found = tuple[Bind | None, dict[int, Rounds]]
TICKS = itertools.count()


@dataclass(frozen=True)
class Names:
    """What holds at a moment.

    By name the binding that ran last, each time a new one; by its identity, in which rounds each one ran.
    """

    bound: dict[str, tuple[Bind, int]] = field(default_factory=dict[str, tuple[Bind, int]])
    ran: dict[int, Rounds] = field(default_factory=dict[int, Rounds])

    def bind(self, tree: Bind, rounds: Rounds) -> Names:
        """With one more binding."""
        return Names({**self.bound, tree.name.value: (tree, next(TICKS))}, {**self.ran, id(tree): rounds})

    def merged(self, parts: list[Names]) -> Names:
        """With what each of the parts has bound; the last of them counts."""
        bound, ran = dict(self.bound), dict(self.ran)
        for part in parts:
            bound |= {name: found for name, found in part.bound.items() if self.bound.get(name) != found}
            ran |= {key: rounds for key, rounds in part.ran.items() if self.ran.get(key) != rounds}
        return Names(bound, ran)


class Left(Exception):
    """A break leaves the nearest loop."""


class Failed(Exception):
    """A step has failed, or a time limit has passed."""


class Stuck(Exception):
    """The run goes on for ever, or ends with an error: nothing more is seen in it."""


@dataclass
class Chooser:
    """Gives every sequence of decisions once, the later ones changed first."""

    decisions: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    at: int = 0

    def choose(self, ways: int) -> int:
        """One of so many ways."""
        if self.at == len(self.decisions):
            self.decisions.append((0, ways))
        self.at += 1
        return self.decisions[self.at - 1][0]

    def next(self) -> bool:
        """Go on to the next sequence; whether there is one."""
        del self.decisions[self.at :]
        while self.decisions and self.decisions[-1][0] + 1 == self.decisions[-1][1]:
            self.decisions.pop()
        if not self.decisions:
            return False
        taken, ways = self.decisions[-1]
        self.decisions[-1] = (taken + 1, ways)
        self.at = 0
        return True


@dataclass
class Runner:
    """Runs a tree in one way. `seen` gets, by the identity of a leaf, what its reference found each time."""

    chooser: Chooser
    seen: dict[int, list[Found]]
    fallible: int = 0
    rounds: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def run(self, tree: Expression, names: Names) -> Names:
        """The names behind the tree. What it raises has them as they are there."""
        match tree:
            case Sql():
                reference = reference_in(tree)
                if reference is not None:
                    found, _ = names.bound.get(reference.name, (None, 0))
                    self.seen.setdefault(id(tree), []).append((found, names.ran))
                if self.fallible and self.chooser.choose(2):
                    raise Failed(names)
                return names
            case Bind():
                names = self.run(tree.body, names)
                return names.bind(tree, tuple(self.rounds))
            case Chain():
                for item in tree.items:
                    names = self.run(item, names)
                return names
            case Break():
                if self.fallible and self.chooser.choose(2):
                    raise Failed(names)  # its value may be what fails
                raise Left(names)
            case Join(branches=branches) | FanOut(branches=branches):
                return self.group(branches, names)
            case Race():
                return self.run(tree.arms[self.chooser.choose(len(tree.arms))], names)
            case If():
                names = self.run(tree.condition, names)
                if self.chooser.choose(2):
                    return self.run(tree.then, names)
                return names if tree.otherwise is None else self.run(tree.otherwise, names)
            case Loop():
                return self.loop(tree, names)
            case Map():
                names_after = self.run(tree.items, names)
                try:
                    if self.chooser.choose(2):
                        self.run(tree.body, names_after)
                except (Left, Failed) as raised:
                    raise type(raised)(names_after) from None
                return names_after
            case Retry():
                try:
                    return self.guarded(tree.body, names)
                except Failed:
                    return self.run(tree.body, names)
            case Timeout():
                if tree.otherwise is None:
                    return self.run(tree.body, names)
                try:
                    return self.guarded(tree.body, names)
                except Failed as stopped:
                    if self.fallible and self.chooser.choose(2):
                        raise  # a step has failed before the time was over
                    return self.run(tree.otherwise, stopped.args[0])
            case Try():
                return self.attempt(tree, names)
            case Compensate():
                names = self.run(tree.body, names)
                fallible, self.fallible = self.fallible, 0
                with contextlib.suppress(Failed):
                    self.run(tree.undo, names)
                self.fallible = fallible
                return names
            case _:
                raise AssertionError(tree)

    def guarded(self, tree: Expression, names: Names) -> Names:
        """The tree, where its steps may fail."""
        self.fallible += 1
        try:
            return self.run(tree, names)
        finally:
            self.fallible -= 1

    def group(self, branches: tuple[Expression, ...], names: Names) -> Names:
        """All branches, each from the same names; of what they bind, the last written counts."""
        order = range(len(branches))
        bound: dict[int, Names] = {}
        problem: Left | Failed | None = None
        for number in order if not self.chooser.choose(2) else reversed(order):
            if isinstance(problem, Left):
                break
            try:
                bound[number] = self.run(branches[number], names)
            except (Left, Failed) as raised:
                bound[number] = raised.args[0]
                problem = raised if problem is None or isinstance(raised, Left) else problem
        merged = names.merged([bound[number] for number in sorted(bound)])
        if problem is not None:
            raise type(problem)(merged)
        return merged

    def loop(self, tree: Loop, names: Names) -> Names:
        """Rounds until the condition says no, or a break."""
        self.rounds.append((id(tree), 0))
        depth = len(self.rounds)
        try:
            for number in range(1, ROUNDS_MAX + 1):
                self.rounds[-1] = (id(tree), number)
                names = self.run(tree.body, names)
                if tree.condition is not None:
                    names = self.run(tree.condition, names)
                    if not self.chooser.choose(2):
                        return names
            raise Stuck
        except Left as left:
            return left.args[0]
        finally:
            del self.rounds[depth - 1 :]

    def attempt(self, tree: Try, names: Names) -> Names:
        """The body, or the catch part; the last part after either."""
        problem: Left | Failed | None = None
        try:
            try:
                names = self.guarded(tree.body, names)
            except Failed as failed:
                run = self.run if tree.final is None else self.guarded
                names = run(tree.catch, failed.args[0])
        except (Left, Failed) as raised:
            problem, names = raised, raised.args[0]
        if tree.final is not None:
            names = self.run(tree.final, names)
        if problem is not None:
            raise type(problem)(names)
        return names


def reference_in(tree: Sql) -> Reference | None:
    query = tree.query.value
    return reference_at(query, query.index("$"), len(query)) if "$" in query else None


NAMES = st.sampled_from(["a", "b"])


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    """A tree of new objects, which can be told apart."""
    budget = [draw(st.integers(2, 9))]

    def leaf() -> Expression:
        budget[0] -= 1
        kind = draw(st.integers(0, 6))
        if kind == 0 and loops:
            return leave()
        if kind < 3:
            return bind(draw(NAMES), sql("SELECT 1"))
        return sql(f"SELECT ${draw(NAMES)}{draw(st.sampled_from(['', '?']))}")

    loops: list[int] = []

    def inside(build: Callable[[], Expression]) -> Expression:
        """What stands in an undo or a last part, where no break may leave."""
        hidden = loops.copy()
        loops.clear()
        built = build()
        loops.extend(hidden)
        return built

    def build(depth: int = 0) -> Expression:
        if budget[0] <= 1 or depth > 6:
            return leaf()

        def inner() -> Expression:
            return build(depth + 1)

        match draw(st.integers(0, 14)):
            case 0 | 1 | 2 | 3:
                return chained(*[inner() for _ in range(draw(st.integers(2, 3)))])
            case 4:
                return bind(draw(NAMES), inner())
            case 5:
                return join(inner(), inner())
            case 6:
                return fan_out(inner(), inner())
            case 7:
                return race(inner(), inner())
            case 8 | 9:
                return choose(inner(), inner(), inner() if draw(st.booleans()) else None)
            case 10:
                loops.append(1)
                made = loop(inner(), inner() if draw(st.booleans()) else None)
                loops.pop()
                return made
            case 11:
                return each(sql("SELECT 1"), inner())
            case 12:
                return attempt(inner(), inner(), inside(inner) if draw(st.booleans()) else None)
            case 13:
                return limited(inner(), inner() if draw(st.booleans()) else None)
            case _:
                return retry(inner()) if draw(st.booleans()) else undone(inner(), inside(inner))

    return build()


def all_runs(tree: Expression) -> tuple[dict[int, list[Found]], bool]:
    """What each leaf found in every run, and whether these are all runs."""
    seen: dict[int, list[Found]] = {}
    chooser = Chooser()
    for _ in range(RUNS_MAX):
        runner = Runner(chooser, seen)
        with contextlib.suppress(Stuck, Failed):
            runner.run(tree, Names())
        if not chooser.next():
            return seen, True
    return seen, False


def picked(units: list[int], ran: dict[int, Rounds]) -> int:
    """Of the units a reference may mean the one that ran last, as `plan.Parameter` says."""

    def later(first: int, second: int) -> int:
        for (loop_1, round_1), (loop_2, round_2) in zip(ran[first], ran[second], strict=False):
            if loop_1 != loop_2:
                break
            if round_1 != round_2:
                return round_1 - round_2
        return first - second  # in written order

    return max([unit for unit in units if unit in ran], key=functools.cmp_to_key(later))


def shown(tree: Expression) -> str:
    """A tree in little text: `(a:1 ~> $b?)`."""
    match tree:
        case Sql(query=query):
            return query.value.removeprefix("SELECT ")
        case Bind():
            return f"{tree.name.value}:{shown(tree.body)}"
        case Break():
            return "break"
        case Chain(items=parts) | Join(branches=parts) | FanOut(branches=parts) | Race(arms=parts):
            sign = {Chain: " ~> ", Join: " & ", FanOut: " |=> ", Race: " | "}[type(tree)]
            return f"({sign.join(map(shown, parts))})"
        case If() | Loop() | Map() | Retry() | Timeout() | Try() | Compensate():
            inner = [part for _, part in parts_of(tree)]
            return f"{type(tree).__name__}({', '.join(map(shown, inner))})"
        case _:
            raise AssertionError(tree)


def check(tree: Expression) -> Scope:
    """Ask the compiler and the runs of a tree about each reference, and compare."""
    flat = outline(tree)
    references: dict[int, tuple[Reference, ...]] = {}
    for index, unit in enumerate(flat.units):
        found = reference_in(unit.tree) if isinstance(unit.tree, Sql) else None
        if found is not None:
            references[index] = (found,)
    scope = resolve(flat, references)
    seen, complete = all_runs(tree)
    unit_of = {id(name.tree): name.unit for name in flat.names}
    for index, [reference] in references.items():
        found = seen.get(id(flat.units[index].tree), [])
        link = scope.links.get(index)
        if link is None:
            [loose] = [loose for loose in scope.loose if loose.unit == index]
            if loose.why is Why.MAYBE:
                assert not complete or not found or any(bound is None for bound, _ in found), loose
            elif loose.why is not Why.PARALLEL:
                assert all(bound is None for bound, _ in found), loose
            continue
        units = [source.unit for source in link[0].sources]
        for bound, when in found:
            assert bound is not None or reference.optional, (index, units)
            if bound is not None:
                ran = {unit_of[key]: stamp for key, stamp in when.items()}
                assert unit_of[id(bound)] in units
                assert picked(units, ran) == unit_of[id(bound)]
    return scope


ONE = sql("SELECT 1")


def a() -> Bind:
    """A binding of its own."""
    return bind("a", sql("SELECT 1"))


def use(written: str = "$a") -> Sql:
    """A reference of its own."""
    return sql(f"SELECT {written}")


def held(tree: Expression) -> list[str]:
    """For each reference how many sources it may mean, or why it does not hold; checked against all runs."""
    scope = check(tree)
    found: dict[int, str] = {unit: str(len(links[0].sources)) for unit, links in scope.links.items()}
    found |= {loose.unit: loose.why.name for loose in scope.loose}
    return [found[unit] for unit in sorted(found)]


def test_branches() -> None:
    assert held(chained(choose(ONE, a(), a()), use())) == ["2"]
    assert held(chained(choose(ONE, a()), use(), use("$a?"))) == ["MAYBE", "1"]
    assert held(chained(a(), choose(ONE, a()), use())) == ["2"]
    assert held(choose(a(), use(), use())) == ["1", "1"]
    assert held(choose(ONE, a(), use("$a?"))) == ["EXCLUDED"]
    assert held(chained(choose(a(), ONE), use())) == ["1"]
    assert held(chained(a(), choose(ONE, a(), a()), use())) == ["2"]
    assert held(chained(race(a(), a()), use())) == ["2"]
    assert held(chained(race(a(), ONE), use(), use("$a?"))) == ["MAYBE", "1"]
    assert held(race(a(), use("$a?"))) == ["PARALLEL"]


def test_rounds() -> None:
    assert held(loop(chained(use("$a?"), use(), a()), ONE)) == ["1", "MAYBE"]
    assert held(loop(bind("a", use("$a?")), ONE)) == ["1"]
    assert held(chained(a(), loop(chained(use(), a()), ONE), use())) == ["2", "1"]
    assert held(chained(a(), loop(chained(choose(ONE, a()), use(), a()), ONE))) == ["3"]
    assert held(loop(chained(a(), use()), use())) == ["1", "1"]
    assert held(loop(join(a(), use("$a?")), ONE)) == ["PARALLEL"]
    assert held(loop(choose(ONE, a(), use("$a?")), ONE)) == ["1"]
    assert held(loop(each(ONE, chained(use("$a?"), a())), ONE)) == ["EARLY"]
    assert held(loop(chained(a(), loop(chained(use(), a()), ONE)), ONE)) == ["2"]


def test_ways_out_of_a_loop() -> None:
    stop = choose(ONE, leave())
    assert held(chained(loop(chained(a(), stop)), use())) == ["1"]
    assert held(chained(loop(chained(stop, a())), use(), use("$a?"))) == ["MAYBE", "1"]
    assert held(chained(loop(chained(a(), stop, a())), use())) == ["2"]
    assert held(chained(loop(choose(ONE, chained(a(), leave()))), use())) == ["1"]
    assert held(chained(loop(choose(ONE, chained(a(), leave())), ONE), use())) == ["MAYBE"]
    assert held(loop(chained(choose(ONE, a(), leave()), use()))) == ["1"]
    assert held(loop(chained(choose(ONE, leave(), a()), use()))) == ["1"]
    assert held(chained(loop(join(a(), stop)), use(), use("$a?"))) == ["MAYBE", "1"]
    assert held(chained(loop(each(ONE, chained(a(), stop))), use("$a?"))) == ["HIDDEN"]
    assert held(chained(loop(chained(loop(leave()), a(), stop)), use())) == ["1"]


def test_parts_that_may_be_left() -> None:
    assert held(attempt(chained(ONE, a()), chained(use(), use("$a?")))) == ["MAYBE", "1"]
    assert held(attempt(chained(a(), ONE, a()), use("$a?"))) == ["2"]
    assert held(chained(attempt(a(), a()), use())) == ["2"]
    assert held(chained(attempt(chained(a(), ONE, a()), ONE), use("$a?"))) == ["2"]
    assert held(chained(attempt(chained(a(), ONE, a()), a()), use())) == ["2"]
    assert held(chained(attempt(ONE, ONE, a()), use())) == ["1"]
    assert held(attempt(a(), a(), chained(use(), use("$a?")))) == ["MAYBE", "2"]
    assert held(chained(limited(a()), use())) == ["1"]
    assert held(chained(limited(a(), use("$a?")), use())) == ["1", "MAYBE"]
    assert held(chained(limited(chained(a(), ONE, a()), ONE), use("$a?"))) == ["2"]
    assert held(chained(undone(a(), chained(use(), bind("b", ONE))), use(), use("$b?"))) == [
        "1",
        "1",
        "HIDDEN",
    ]
    assert held(chained(retry(a()), use())) == ["1"]
    assert held(chained(each(ONE, chained(a(), use())), use())) == ["1", "HIDDEN"]


@settings(
    deadline=None,
    max_examples=depth(150),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(trees())
def test_names_hold_as_the_runs_say(tree: Expression) -> None:
    note(shown(tree))
    check(tree)


@settings(deadline=None, max_examples=depth(200))
@given(trees())
def test_what_resolves_compiles_to_a_sound_plan(tree: Expression) -> None:
    result = compiled(tree)
    assert (result.plan is None) == any(problem.severity == "error" for problem in result.problems)
    if result.plan is not None:
        assert verify(result.plan) == ()
