"""What a reference finds when a plan runs: in the core of the executor, and by following the tree by hand.

The tree is followed in every way it can go; then its plan is run so that the same happens, with crashes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from dfc.compiler.ast import Bind, Break, Chain, Expression, If, Loop, Retry, Sql, Try
from dfc.compiler.facts import Facts
from dfc.compiler.lower import node_ids
from dfc.compiler.outline import outline
from dfc.compiler.plan import Plan, SqlNode, every_node
from dfc.compiler.scope import NO_SCOPE
from dfc.executor.journal import Rows
from tests.compiler_middle.test_names import Chooser, Failed, Left, Stuck, reference_in, shown
from tests.compiler_middle.trees import attempt, bind, choose, compiled, leave, loop, retry, sql
from tests.compiler_middle.trees import chain as chained
from tests.depth import depth
from tests.shell import Outcome, Shell, one

RUNS_MAX = 40
ROUNDS_MAX = 3

Paths = dict[str, str]
"""By name the path of the step whose result it stands for."""


@dataclass
class Follower:
    """Follows a tree in one way: what each step comes to, and which result its reference has to find."""

    chooser: Chooser
    ids: dict[int, str]
    outcomes: dict[str, Outcome | list[Outcome]] = field(default_factory=dict[str, "Outcome | list[Outcome]"])
    found: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    fallible: int = 0
    frames: str = ""

    def step(self, tree: Sql, names: Paths) -> str:
        """A statement runs; its path."""
        path = self.frames + self.ids[id(tree)]
        reference = reference_in(tree)
        if reference is not None:
            self.found[path] = names.get(reference.name)
        if self.fallible and self.chooser.choose(2):
            self.outcomes[path] = "22012"
            raise Failed(names)
        return path

    def condition(self, tree: Expression, names: Paths) -> tuple[Paths, bool]:
        """A condition, which is one statement, maybe with a name."""
        leaf = tree.body if isinstance(tree, Bind) else tree
        assert isinstance(leaf, Sql)
        path = self.step(leaf, names)
        holds = bool(self.chooser.choose(2))
        if not holds:
            cells = ("f", path)
            self.outcomes[path] = Rows(columns=("v", "path"), types=(16, 25), cells=cells, row_count=1)
        return ({**names, tree.name.value: path} if isinstance(tree, Bind) else names), holds

    def run(self, tree: Expression, names: Paths) -> Paths:
        """The names behind a tree. What it raises has them as they are there."""
        match tree:
            case Sql():
                self.step(tree, names)
                return names
            case Bind(body=Sql() as body):
                return {**names, tree.name.value: self.step(body, names)}
            case Chain():
                for item in tree.items:
                    names = self.run(item, names)
                return names
            case Break():
                raise Left(names)
            case If():
                names, holds = self.condition(tree.condition, names)
                if holds:
                    return self.run(tree.then, names)
                return names if tree.otherwise is None else self.run(tree.otherwise, names)
            case Loop():
                return self.loop(tree, names)
            case Retry():
                return self.retry(tree, names)
            case Try():
                return self.attempt(tree, names)
            case _:
                raise AssertionError(tree)

    def loop(self, tree: Loop, names: Paths) -> Paths:
        frames = self.frames
        try:
            for number in range(1, ROUNDS_MAX + 1):
                self.frames = f"{frames}{self.ids[id(tree)]}[{number}]/"
                names = self.run(tree.body, names)
                if tree.condition is not None:
                    names, holds = self.condition(tree.condition, names)
                    if not holds:
                        return names
            raise Stuck
        except Left as left:
            return left.args[0]
        finally:
            self.frames = frames

    def retry(self, tree: Retry, names: Paths) -> Paths:
        frames = self.frames
        try:
            for number in (1, 2, 3):
                self.frames = f"{frames}{self.ids[id(tree)]}[{number}]/"
                self.fallible += number < 3
                try:
                    return self.run(tree.body, names)
                except Failed:
                    if number == 3:
                        raise
                finally:
                    self.fallible -= number < 3
            raise AssertionError
        finally:
            self.frames = frames

    def attempt(self, tree: Try, names: Paths) -> Paths:
        problem: Left | Failed | None = None
        try:
            self.fallible += 1
            try:
                names = self.run(tree.body, names)
            except Failed as failed:
                self.fallible -= 1
                try:
                    names = self.run(tree.catch, failed.args[0])
                finally:
                    self.fallible += 1
            finally:
                self.fallible -= 1
        except (Left, Failed) as raised:
            problem, names = raised, raised.args[0]
        if tree.final is not None:
            # What becomes of an error here is another matter.
            fallible, self.fallible = self.fallible, 0
            names = self.run(tree.final, names)
            self.fallible = fallible
        if problem is not None:
            raise type(problem)(names)
        return names


NAMES = st.sampled_from(["a", "b"])


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    """A tree of new objects, which can be told apart."""
    budget = [draw(st.integers(3, 10))]
    loops: list[int] = []

    def leaf() -> Expression:
        budget[0] -= 1
        made = sql("SELECT 1" if draw(st.booleans()) else f"SELECT ${draw(NAMES)}?")
        return bind(draw(NAMES), made) if draw(st.booleans()) else made

    def build(depth: int = 0) -> Expression:
        if budget[0] <= 1 or depth > 5:
            return leave() if loops and draw(st.integers(0, 3)) == 0 else leaf()
        match draw(st.integers(0, 9)):
            case 0 | 1 | 2:
                return chained(*[build(depth + 1) for _ in range(draw(st.integers(2, 3)))])
            case 3 | 4:
                return choose(leaf(), build(depth + 1), build(depth + 1) if draw(st.booleans()) else None)
            case 5 | 6 | 7:
                loops.append(1)
                body = chained(leaf(), build(depth + 1), build(depth + 1))
                made = loop(body, leaf() if draw(st.booleans()) else None)
                loops.pop()
                return made
            case 8:
                final: Expression | None = None
                body, catch = build(depth + 1), build(depth + 1)
                if draw(st.booleans()):
                    hidden = loops.copy()
                    loops.clear()
                    final = build(depth + 1)
                    loops.extend(hidden)
                return attempt(body, catch, final)
            case _:
                return retry(build(depth + 1))

    return chained(build(), build(), sql("SELECT $a?"), sql("SELECT $b?"))


def check_run(plan: Plan, follower: Follower, seed: int) -> None:
    """Run the plan as the tree was followed, and compare what each reference has found."""
    random = Random(seed)
    shell = Shell(plan, follower.outcomes, random)
    short = {path: came if isinstance(came, str) else "false" for path, came in follower.outcomes.items()}

    def crash(shell: Shell) -> None:
        if random.random() < 0.1:
            shell.crash()

    shell.on_step = crash
    shell.run()
    keys = {node.id: node.body.parameters for node in every_node(plan.nodes) if isinstance(node, SqlNode)}
    for path, expected in follower.found.items():
        [parameter] = keys[path.rpartition("]/")[2]]
        seen = shell.sources[path].get(parameter.key)
        wanted = None if expected is None else follower.outcomes.get(expected, one(expected))
        assert seen == wanted, (short, path, expected, seen)


@settings(
    deadline=None,
    max_examples=depth(60, 12),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(trees(), st.integers(0, 1000))
def test_references_find_what_ran_last(tree: Expression, seed: int) -> None:
    plan = compiled(tree).plan
    if plan is None:
        return
    note(shown(tree))
    flat = outline(tree)
    ids = node_ids(Facts(outline=flat, scope=NO_SCOPE, analyses={}))
    by_tree = {id(unit.tree): ids[index] for index, unit in enumerate(flat.units)}
    chooser = Chooser()
    for number in range(RUNS_MAX):
        follower = Follower(chooser, by_tree)
        with contextlib.suppress(Stuck):
            follower.run(tree, {})
            check_run(plan, follower, seed + number)
        if not chooser.next():
            break
