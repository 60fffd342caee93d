"""Random plans over all that a plan may hold, as the compiler might make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    AtomicNode,
    Block,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Delivery,
    Duration,
    Form,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Plan,
    Policy,
    RateLimit,
    Request,
    RetryNode,
    Returns,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    Use,
    ValueNode,
    error_source,
    item_source,
)
from tests.simulate.names import Entry, Names, Reference, picked, reference
from tests.simulate.places import nodes_in
from tests.simulate.trees import rewritten, statement, with_used

WORKFLOWS = ("first", "second")
"""The names of the workflows that plans call."""

SIGNALS = ("go", "stop")
DURATIONS = (50_000, 300_000, 1_000_000, 5_000_000, 60_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Where an expression stands.

    `loop` is what a break would leave, `track` which branches of which forks it is in, `frame` which loops,
    maps and retries. `plain`: only what `df.atomic` takes. `modest`: an undo or a finally.
    """

    depth: int
    loop: str | None = None
    track: tuple[tuple[str, int], ...] = ()
    frame: tuple[str, ...] = ()
    plain: bool = False
    modest: bool = False

    @property
    def inner(self) -> Around:
        return replace(self, depth=self.depth - 1)


@dataclass(slots=True)
class Draft:
    """A block that is being written. `last` is what the next node comes after."""

    nodes: list[Node] = field(default_factory=list[Node])
    last: tuple[str, ...] = ()

    def add(self, node: Node) -> None:
        self.nodes.append(node)
        self.last = (node.id,)

    @property
    def block(self) -> Block:
        return Block(nodes=tuple(self.nodes), result=self.nodes[-1].id)


@dataclass(slots=True)
class Builder:
    """Writes a plan, expression by expression. `budget` is how many steps are left."""

    random: Random
    budget: int
    count: int = 0
    others: int | None = None
    """How many instances there are that it may wait for; None: it may call nothing either."""
    steps: dict[str, tuple[SqlBody, list[Reference]]] = field(
        default_factory=dict[str, tuple[SqlBody, list[Reference]]]
    )
    places: dict[str, Around] = field(default_factory=dict[str, Around])
    uses: dict[str, tuple[tuple[Use, str | None], ...]] = field(
        default_factory=dict[str, tuple[tuple[Use, str | None], ...]]
    )
    forced: dict[str, tuple[str, bool]] = field(default_factory=dict[str, tuple[str, bool]])

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def chance(self, chance: float) -> bool:
        return self.random.random() < chance

    # Expressions

    def chain(self, around: Around, names: Names, longest: int) -> tuple[Block, Names]:
        """A block of a few expressions, one after the other."""
        draft = Draft()
        for _ in range(self.random.randint(1, longest)):
            names = self.expression(draft, around.inner, names)
        return draft.block, names

    def expression(self, draft: Draft, around: Around, names: Names) -> Names:
        """Write a random expression behind what the draft has; what can be referred to after it."""
        kinds = self._kinds(around)
        make = self.random.choices([make for make, _ in kinds], [weight for _, weight in kinds])[0]
        return make(draft, around, names)

    def _kinds(self, around: Around) -> list[tuple[Callable[[Draft, Around, Names], Names], int]]:
        steps = [(self.sql, 12)]
        if not around.plain:
            steps += [(self.http, 4), (self.value, 1), (self.constant, 1), (self.wait, 3), (self.signal, 2)]
            if self.others is not None and not around.modest:
                steps.append((self.call, 2))
            if self.others and not around.modest:
                steps.append((self.instance, 1))
        if around.depth <= 0 or self.budget <= 1:
            return steps
        if around.plain:
            return [*steps, (self.choice, 8)]
        few = [(self.choice, 4), (self.retry, 3), (self.atomic, 2)]
        if around.modest:
            return [*steps, *few]
        structures = [
            (self.group, 4),
            (self.loop, 4),
            (self.poll, 2),
            (self.race, 4),
            (self.all_or_cancel, 2),
            (self.map, 4),
            (self.timeout, 3),
            (self.attempt, 5),
            (self.compensate, 8),
        ]
        return [*steps, *few, *structures]

    # Steps

    def body(self, name: str, around: Around, names: Names, *, counts: bool = False) -> SqlBody:
        """A statement with random references; the text is written when all nodes are known."""
        returns = Returns.COUNT if counts and self.chance(0.3) else Returns.ROWS
        form = self.random.choice((Form.WITH, Form.QUERY, Form.EXECUTE))
        body = SqlBody(sql=f"SELECT '{name}'", kind="select", form=form, returns=returns)
        many = self.random.choice((0, 0, 1, 1, 2, 3))
        references = [self.reference(entry) for entry in picked(self.random, names, many)]
        self.steps[name] = (body, references)
        self.places[name] = around
        uses: list[tuple[Use, str | None]] = [(Use.ROW_COUNT, None)]
        if returns is Returns.ROWS:
            uses += [(Use.VALUE, None), (Use.VALUE, "h"), (Use.ROWS, None)]
        self.uses[name] = tuple(uses)
        return body

    def reference(self, entry: Entry) -> Reference:
        return reference(self.random, entry, self.uses)

    def sql(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("s")
        self.budget -= 1
        body = self.body(name, around, names, counts=True)
        policy = Policy()
        if not around.plain:
            if self.chance(0.1):
                body = replace(body, form=Form.AUTOCOMMIT)
                self.steps[name] = (body, self.steps[name][1])
            policy = self.policy(autocommit=body.form is Form.AUTOCOMMIT)
        draft.add(SqlNode(id=name, after=draft.last, body=body, policy=policy))
        self.may_fail(name, policy)
        return names.with_one(name, sure=policy.on_error is OnError.FAIL)

    def http(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("h")
        self.budget -= 1
        many = False
        request: Request | SqlBody
        if self.chance(0.5):
            request = Request(url=f"http://{name}/", method="POST", body=None, headers=(), timeout_seconds=30)
        else:
            many = self.chance(0.3)
            request = self.body(name, around, names)
        node = HttpNode(id=name, after=draft.last, request=request, many=many, policy=self.policy(http=True))
        draft.add(node)
        self.uses[name] = ((Use.VALUE, None),) if many else ((Use.VALUE, None), (Use.VALUE, "body"))
        self.may_fail(name, node.policy)
        return names.with_one(name, sure=node.policy.on_error is OnError.FAIL)

    def may_fail(self, name: str, policy: Policy) -> None:
        """A step that may fail without consequence has an error to refer to."""
        if policy.on_error is OnError.CONTINUE:
            errors = ((Use.ERROR, "message"), (Use.ERROR, "sqlstate"))
            self.uses[name] = (*self.uses[name], *errors)

    def value(self, draft: Draft, around: Around, names: Names) -> Names:
        """A reference that stands alone, to something that is the same in every execution."""
        firm = [entry for entry in names.entries if entry.firm]
        if not firm:
            return self.sql(draft, around, names)
        name = self.name("v")
        parameter = self.reference(self.random.choice(firm)).alone()
        if parameter.use in (Use.ROWS, Use.JSON):
            return self.sql(draft, around, names)
        if parameter.source.endswith("!"):
            parameter = replace(parameter, column="sqlstate", end=len(parameter.name) + 10)
        draft.add(ValueNode(id=name, after=draft.last, parameter=parameter))
        self.uses[name] = ((Use.VALUE, None),)
        return names.with_one(name)

    def constant(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("c")
        draft.add(ConstantNode(id=name, after=draft.last, value=self.random.choice(("null", "true", "[1]"))))
        return self.structure(name, names)

    # Waits

    def wait(self, draft: Draft, around: Around, names: Names) -> Names:
        """A wait for a moment."""
        name = self.name("w")
        self.budget -= 1
        node: Node
        match self.random.randint(0, 3):
            case 0:
                at = repr(self.random.choice((0.0, 3.0, 30.0)))
                node = UntilNode(id=name, after=draft.last, at=at)
            case 1:
                node = ScheduleNode(id=name, after=draft.last, cron="* * * * *")
            case _:
                node = SleepNode(id=name, after=draft.last, duration=self.duration(0, *DURATIONS))
        draft.add(node)
        return self.structure(name, names)

    def signal(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("g")
        self.budget -= 1
        timeout = None if self.chance(0.5) and not around.modest else self.duration(*DURATIONS)
        node = SignalNode(id=name, after=draft.last, name=self.random.choice(SIGNALS), timeout=timeout)
        draft.add(node)
        self.uses[name] = ((Use.VALUE, None), (Use.VALUE, "data"))
        return names.with_one(name)

    def instance(self, draft: Draft, around: Around, names: Names) -> Names:
        """A wait for another instance."""
        assert self.others
        name = self.name("i")
        self.budget -= 1
        timeout = None if self.chance(0.6) else self.duration(*DURATIONS)
        other = f"i{self.random.randrange(self.others)}"
        draft.add(InstanceNode(id=name, after=draft.last, instance=other, timeout=timeout))
        return self.structure(name, names)

    def call(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("call")
        self.budget -= 1
        policy = Policy()
        if self.chance(0.3):
            words = self.random.choice((("all",), ("22012",)))
            policy = replace(policy, max_attempts=self.random.randint(1, 3), retry_on=words)
        if self.chance(0.2):
            policy = replace(policy, on_error=OnError.CONTINUE)
        given: str | SqlBody | None = self.random.choice((None, '{"n": 1}'))
        if self.chance(0.4):
            given = self.body(name, around, names)
        workflow = self.random.choice(WORKFLOWS)
        node = CallNode(id=name, after=draft.last, workflow=workflow, input=given, policy=policy)
        draft.add(node)
        self.uses[name] = ((Use.VALUE, None),)
        self.may_fail(name, policy)
        return names.with_one(name, sure=policy.on_error is OnError.FAIL)

    def poll(self, draft: Draft, around: Around, names: Names) -> Names:
        """A loop until its own result is true."""
        name = self.name("poll")
        self.budget -= 1
        inside = replace(around, loop=name, frame=(*around.frame, name))
        body = self.test(inside, names, name, True)[0]
        every = self.duration(50_000, 1_000_000, 7_000_000)
        draft.add(LoopNode(id=name, after=draft.last, body=body, every=every))
        return self.structure(name, names)

    def policy(self, *, http: bool = False, autocommit: bool = False) -> Policy:
        random = self.random
        policy = Policy()
        if self.chance(0.2):
            words = random.choice((None, None, ("all",), ("22012",), ("40", "22"), ("transient",)))
            policy = replace(policy, max_attempts=random.randint(1, 4), retry_on=words)
            if self.chance(0.5):
                policy = replace(policy, backoff=self.duration(0, 100_000, 2_000_000))
        if self.chance(0.1):
            policy = replace(policy, on_error=OnError.CONTINUE)
        if self.chance(0.08):
            policy = replace(policy, timeout=self.duration(300_000, 2_000_000))
        if (http or autocommit) and self.chance(0.3):
            policy = replace(policy, delivery=Delivery.AT_MOST_ONCE)
        if self.chance(0.03):
            policy = replace(policy, rate_limit=RateLimit(count=2, seconds=1), rate_key="slow")
        return policy

    def duration(self, *choices: int) -> Duration:
        return Duration(microseconds=self.random.choice(choices))

    # Structures

    def group(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("join")
        lasts: list[str] = []
        before, after = draft.last, names
        for number in range(self.random.randint(2, 4)):
            draft.last = before
            branch = replace(around.inner, track=(*around.track, (name, number)))
            for _ in range(self.random.randint(1, 2)):
                after = after.merged(self.expression(draft, branch, names), names)
            if around.loop is not None and self.chance(0.15):
                leave = self.name("break")
                draft.add(BreakNode(id=leave, after=draft.last, loop=around.loop))
            lasts.append(draft.last[0])
        draft.nodes.append(JoinNode(id=name, after=tuple(lasts)))
        draft.last = (name,)
        self.uses[name] = ((Use.VALUE, None),)
        return after

    def choice(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("if")
        condition, names = self.condition(around, names)
        then, after_then = self.chain(around, names, 2)
        leaves = around.loop is not None and self.chance(0.3)
        if leaves:
            then = self.leaving(then, around, after_then)
        otherwise, after_else = None, names
        if self.chance(0.5):
            otherwise, after_else = self.chain(around, names, 2)
        node = IfNode(id=name, after=draft.last, condition=condition, then=then, otherwise=otherwise)
        draft.add(node)
        maybe = names.with_maybe(after_then).with_maybe(after_else)
        if otherwise is not None and not leaves:
            maybe = maybe.with_either(then.result, otherwise.result, self.uses)
        return self.structure(name, maybe)

    def leaving(self, block: Block, around: Around, names: Names) -> Block:
        """The block with a break at its end."""
        assert around.loop is not None
        name = self.name("break")
        draft = Draft(nodes=list(block.nodes), last=(block.result,))
        value: str | SqlBody = self.random.choice(("null", '"left"'))
        if self.chance(0.3):
            value = self.body(name, around, names)
        draft.add(BreakNode(id=name, after=draft.last, loop=around.loop, value=value))
        return draft.block

    def condition(self, around: Around, names: Names) -> tuple[Block, Names]:
        draft = Draft()
        if not around.plain and self.chance(0.3):
            names = self.expression(draft, replace(around, depth=0), names)
        elif self.chance(0.2):
            names = self.value(draft, around, names)
        else:
            names = self.sql(draft, around, names)
        return draft.block, names

    def structure(self, name: str, names: Names) -> Names:
        self.uses[name] = ((Use.VALUE, None),)
        return names.with_one(name)

    def test(self, around: Around, names: Names, loop: str, value: bool) -> tuple[Block, str]:
        """A condition that ends the loop after a bounded number of rounds."""
        name = self.name("s")
        body = self.body(name, around, names)
        self.forced[name] = (loop, value)
        return Block(nodes=(SqlNode(id=name, after=(), body=body),), result=name), name

    def loop(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("loop")
        inside = replace(around, loop=name, frame=(*around.frame, name), track=around.track)
        body, after = self.chain(inside, names, 3)
        condition: Block | None = None
        if self.chance(0.6):
            condition = self.test(inside, after, name, False)[0]
        else:
            test, decisive = self.test(inside, after, name, True)
            after = after.with_one(decisive)
            first = SqlNode(id=self.name("s"), after=(), body=self.body(f"s{self.count}", inside, after))
            then = self.leaving(Block(nodes=(first,), result=first.id), inside, after)
            draft_body = Draft(nodes=list(body.nodes), last=(body.result,))
            draft_body.add(IfNode(id=self.name("if"), after=draft_body.last, condition=test, then=then))
            body = draft_body.block
        left = any(isinstance(node, BreakNode) and node.loop == name for node in nodes_in(body))
        self.earlier(body, inside)
        keep = self.chance(0.3)
        node = LoopNode(id=name, after=draft.last, body=body, condition=condition, keep_undos=keep)
        draft.add(node)
        return self.structure(name, names.with_maybe(after) if left else after)

    def earlier(self, body: Block, inside: Around) -> None:
        """Let steps of a loop's body refer to later ones: to what they gave in an earlier round."""
        ids = [node.id for node in nodes_in(body) if node.id in self.steps]
        # Not in an undo: what it sees of what came after it was registered is not said.
        same = [id for id in ids if self.places[id].frame == inside.frame]
        same = [id for id in same if not self.places[id].plain and not self.places[id].modest]
        for at, id in enumerate(same):
            later = [other for other in same[at + 1 :] if not self.parallel(id, other) and other[0] in "sh"]
            if later and self.chance(0.6):
                entry = Entry(ids=(self.random.choice(later),), sure=False)
                self.steps[id][1].append(self.reference(entry))

    def parallel(self, one: str, other: str) -> bool:
        """Whether two steps may run at the same time."""
        branches = dict(self.places[one].track)
        return any(branches.get(fork, number) != number for fork, number in self.places[other].track)

    def arms(self, name: str, around: Around, names: Names, many: int) -> tuple[list[Block], list[Names]]:
        arms: list[Block] = []
        after: list[Names] = []
        for number in range(many):
            arm = replace(around, track=(*around.track, (name, number)))
            if self.chance(0.3):
                draft = Draft()
                after.append(self.sql(draft, arm, names))
                arms.append(draft.block)
                continue
            block, seen = self.chain(arm, names, 2)
            if around.loop is not None and self.chance(0.2):
                block = self.leaving(block, arm, seen)
            arms.append(block)
            after.append(seen)
        return arms, after

    def race(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("race")
        arms, after = self.arms(name, around, names, self.random.randint(1, 3))
        draft.add(ArmsNode(id=name, after=draft.last, arms=tuple(arms), mode=ArmsMode.RACE))
        for seen in after:
            names = names.with_maybe(seen, firm=False)
        return self.structure(name, names)

    def all_or_cancel(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("group")
        arms, after = self.arms(name, around, names, self.random.randint(1, 3))
        draft.add(ArmsNode(id=name, after=draft.last, arms=tuple(arms), mode=ArmsMode.ALL_OR_CANCEL))
        merged = names
        for seen in after:
            merged = merged.merged(seen, names)
        return self.structure(name, merged)

    def map(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("map")
        self.budget -= 1
        batch = self.random.choice((1, 1, 1, 2))
        rows = [e for e in names.entries if e.firm and e.sure and self._is_list(e)]
        items = self.body(name, around, names)
        self.uses[item_source(name)] = ((Use.VALUE, None), (Use.VALUE, "h"))
        if batch > 1:
            self.uses[item_source(name)] = ((Use.ROWS, None), (Use.JSON, None))
        parameter = None
        if rows and self.chance(0.4):
            entry = self.random.choice(rows)
            parameter = reference(self.random, entry, self.uses).of_items(self.uses).alone()
            del self.steps[name]
            if parameter.use is not Use.ROWS:
                self.uses[item_source(name)] = ((Use.VALUE if batch == 1 else Use.JSON, None),)
        inside = replace(
            around, frame=(*around.frame, name), track=(*around.track, (name, 0)), loop=around.loop
        )
        body, _ = self.chain(inside, names.with_one(item_source(name)), 2)
        node = MapNode(
            id=name,
            after=draft.last,
            items=items if parameter is None else parameter,
            body=body,
            max_parallel=self.random.choice((1, 2, 16)),
            batch_size=batch,
            on_error=self.random.choice((OnError.FAIL, OnError.CONTINUE)),
        )
        draft.add(node)
        names = self.structure(name, names)
        self.uses[name] = ((Use.VALUE, None), (Use.ROWS, None))
        return names

    def _is_list(self, entry: Entry) -> bool:
        id = entry.ids[0]
        return len(entry.ids) == 1 and (id.startswith("map") or (Use.ROWS, None) in self.uses[id])

    def atomic(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("atomic")
        inside = replace(around, plain=True, loop=None)
        body, after = self.chain(inside, names, 3)
        policy = Policy()
        if self.chance(0.3):
            policy = replace(policy, max_attempts=self.random.randint(1, 3), retry_on=("all",))
        draft.add(AtomicNode(id=name, after=draft.last, body=body, policy=policy))
        return self.structure(name, after)

    def retry(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("retry")
        inside = replace(around, frame=(*around.frame, name))
        body, after = self.chain(inside, names, 2)
        policy = Policy(
            max_attempts=self.random.randint(1, 3),
            backoff=self.duration(0, 100_000, 4_000_000),
            retry_on=self.random.choice((None, None, ("22012",), ("40", "timeout"))),
        )
        draft.add(RetryNode(id=name, after=draft.last, body=body, policy=policy))
        return self.structure(name, after)

    def timeout(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("timeout")
        body, after = self.chain(around, names, 2)
        otherwise, after_else = None, names
        if self.chance(0.5):
            otherwise, after_else = self.chain(around, names, 1)
        duration = self.duration(*DURATIONS)
        draft.add(TimeoutNode(id=name, after=draft.last, body=body, duration=duration, otherwise=otherwise))
        if otherwise is None:
            return self.structure(name, after)
        return self.structure(name, names.with_maybe(after, firm=False).with_maybe(after_else))

    def attempt(self, draft: Draft, around: Around, names: Names) -> Names:
        """Try, catch, finally."""
        name = self.name("try")
        body, after = self.chain(around, names, 2)
        self.uses[error_source(name)] = ((Use.VALUE, "message"), (Use.VALUE, "sqlstate"), (Use.VALUE, None))
        within = names.with_maybe(after, firm=False)
        catch, after_catch = self.chain(around, within.with_one(error_source(name)), 1)
        after_catch = after_catch.without(error_source(name))
        final = None
        maybe = within.with_maybe(after_catch, firm=False)
        if self.chance(0.6):
            modest = replace(around, modest=True, loop=None, depth=min(around.depth, 2))
            final, final_names = self.chain(modest, maybe, 2)
            maybe = maybe.merged(final_names, maybe)
        draft.add(TryNode(id=name, after=draft.last, body=body, catch=catch, final=final))
        return self.structure(name, maybe)

    def compensate(self, draft: Draft, around: Around, names: Names) -> Names:
        name = self.name("comp")
        body, after = self.chain(around, names, 2)
        modest = replace(around, modest=True, loop=None, depth=min(around.depth, 2))
        # What an undo of an earlier round sees of a step that did not run in that round is not said.
        sure = Names(tuple(entry for entry in after.entries if entry.sure))
        undo, _ = self.chain(modest, after if around.loop is None else sure, 2)
        draft.add(CompensateNode(id=name, after=draft.last, body=body, undo=undo))
        return self.structure(name, after)


@dataclass(frozen=True, slots=True)
class Made:
    """A plan; which of its steps end loops, (loop, truth) by node id; and which are bound to fail."""

    plan: Plan
    forced: Mapping[str, tuple[str, bool]]
    doomed: frozenset[str] = frozenset()


def random_plan(random: Random, *, steps: int, depth: int, others: int | None = None) -> Made:
    """A plan of about so many steps, and so many levels at most. It may wait for the instances before it."""
    builder = Builder(random, steps, others=others)
    draft = Draft()
    names = Names()
    around = Around(depth=depth)
    while not draft.nodes or (builder.budget > 0 and random.random() < 0.7):
        names = builder.expression(draft, around, names)

    def finished(node: Node) -> Node:
        if node.id not in builder.steps:
            return node
        base, references = builder.steps[node.id]
        body = statement(node.id, [reference.within() for reference in references], base)
        match node:
            case SqlNode():
                return replace(node, body=body)
            case HttpNode():
                return replace(node, request=body)
            case BreakNode():
                return replace(node, value=body)
            case MapNode():
                return replace(node, items=body)
            case CallNode():
                return replace(node, input=body)
            case _:
                raise AssertionError(node)

    block = rewritten(draft.block, finished)
    plan = with_used(Plan(nodes=block.nodes, result=block.result))
    able = [node.id for node in nodes_in(block) if isinstance(node, SqlNode | HttpNode)]
    doomed = random.sample(able, min(len(able), random.choice((0, 0, 1, 1, 2))))
    return Made(plan, builder.forced, frozenset(doomed))
