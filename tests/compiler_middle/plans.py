"""Random plans: blocks in blocks, flattened the way lowering does, with every kind of node and reference.

A plan is a function of a seed, so that properties and simulations can share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from dfc.compiler.plan import (
    INPUT,
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
    Literal,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Parameter,
    Part,
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
from dfc.compiler.plan_certainty import Certainty, Order
from dfc.compiler.plan_shape import Nest, Place, nest

CHARACTERS = "ab$'\"\\ \n\t\x01\x7fü\u2028😀"
STRUCTURES = ("if", "loop", "race", "join", "map", "atomic", "retry", "timeout", "try", "compensate")
WAITING = ("sleep", "until", "schedule", "signal", "call", "instance", "constant")
CODES = ("40001", "40", "503", "5xx", "timeout", "transient")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Choices:
    """Where a plan comes from."""

    random: Random

    def pick(self, options: Sequence[_T]) -> _T:
        """One of several."""
        return self.random.choice(options)

    def number(self, low: int, high: int) -> int:
        """A number between two, both included."""
        return self.random.randint(low, high)

    def text(self) -> str:
        """Any short text."""
        return "".join(self.random.choices(CHARACTERS, k=self.random.randint(0, 6)))


def plans() -> st.SearchStrategy[Plan]:
    """Sound plans. Drawn from a seed: a plan is too many choices for hypothesis to make each."""
    return st.builds(_seeded, st.integers(0, 2**32), st.integers(1, 20))


def _seeded(seed: int, nodes: int) -> Plan:
    return random_plan(Random(seed), nodes=nodes)


def random_plan(random: Random, *, nodes: int) -> Plan:
    """A sound plan of about so many nodes at most, with references."""
    choices = Choices(random)
    block = _Builder(choices, nodes).block(_Where(), 0)
    return _with_references(choices, Plan(nodes=block.nodes, result=block.result))


@dataclass(frozen=True)
class _Where:
    """What is around a block: the nearest loop that a break may leave, a transaction, an undo."""

    loop: str | None = None
    atomic: bool = False
    undo: bool = False


@dataclass
class _Builder:
    """Makes blocks without references; `budget` is how many more nodes there are to be, about."""

    choices: Choices
    budget: int
    made: int = 0

    def id(self) -> str:
        self.made += 1
        self.budget -= 1
        return f"n{self.made}"

    def is_so(self) -> bool:
        return self.choices.pick((False, True))

    def block(self, where: _Where, depth: int) -> Block:
        """A chain of nodes and groups."""
        nodes: list[Node] = []
        last = self.chain(nodes, (), where, depth)
        return Block(nodes=tuple(nodes), result=last)

    def chain(self, nodes: list[Node], after: tuple[str, ...], where: _Where, depth: int) -> str:
        last = ""
        for _ in range(self.choices.number(1, 3)):
            last = self.item(nodes, after, where, depth)
            after = (last,)
        return last

    def item(self, nodes: list[Node], after: tuple[str, ...], where: _Where, depth: int) -> str:
        """Append a leaf, a group or a node with blocks; the node whose result it has."""
        kinds = ["leaf"]
        if self.budget > 0 and depth < 5:
            kinds += ["if"] if where.atomic else [*STRUCTURES, "group", "group"]
        kind = self.choices.pick(kinds)
        if kind == "group":
            branches = range(self.choices.number(1, 3))
            lasts = tuple([self.chain(nodes, after, where, depth + 1) for _ in branches])
            nodes.append(JoinNode(id=self.id(), after=lasts))
        elif kind == "leaf":
            nodes.append(self.leaf(after, where))
        else:
            nodes.append(self.structure(kind, after, where, depth + 1))
        if self.is_so():
            nodes[-1] = replace(nodes[-1], bindings=(f"b{self.choices.text()}",))
        return nodes[-1].id

    def duration(self) -> Duration:
        pick = self.choices.number
        return Duration(months=pick(0, 2), days=pick(0, 40), microseconds=pick(1, 10**9))

    def policy(self, where: _Where) -> Policy:
        if where.atomic or self.is_so():
            return Policy()
        pick, number = self.choices.pick, self.choices.number
        return Policy(
            max_attempts=pick((None, 1, 4)),
            backoff=pick((None, Duration(), self.duration())),
            max_backoff=pick((None, self.duration())),
            jitter=pick((None, False, True)),
            retry_on=pick((None, (), (pick(CODES),))),
            no_retry_on=pick((None, (pick(CODES), "all"))),
            timeout=pick((None, self.duration())),
            on_error=pick((OnError.FAIL, OnError.CONTINUE)),
            rate_limit=pick((None, RateLimit(count=number(1, 9), seconds=60))),
            rate_key=pick((None, self.choices.text())),
            delivery=pick((Delivery.AT_LEAST_ONCE, Delivery.AT_MOST_ONCE)),
            isolation=pick((None, "serializable")),
            settings=pick(((), (("work_mem", self.choices.text()),))),
            retry_unsafe=self.is_so(),
            retry_after_max=pick((None, self.duration())),
        )

    def body(self, returns: Returns = Returns.ROWS) -> SqlBody:
        form = self.choices.pick((Form.WITH, Form.QUERY, Form.EXECUTE))
        return SqlBody(sql="SELECT" + self.choices.text(), kind="select", form=form, returns=returns)

    def leaf(self, after: tuple[str, ...], where: _Where) -> Node:
        kinds = ["sql", "sql", "value"]
        if not where.atomic:
            kinds += ["sql", "http", "request", self.choices.pick(WAITING)]
        if where.loop is not None and not where.atomic:
            kinds.append("break")
        id = self.id()
        match self.choices.pick(kinds):
            case "sql":
                body = self.body(self.choices.pick((Returns.ROWS, Returns.COUNT)))
                return SqlNode(id=id, after=after, body=body, policy=self.policy(where))
            case "http":
                many = self.is_so()
                return HttpNode(id=id, after=after, request=self.body(), many=many, policy=self.policy(where))
            case "request":
                return HttpNode(id=id, after=after, request=self.request(), policy=self.policy(where))
            case "break":
                value = self.choices.pick(("null", "5", '"done"', self.body()))
                return BreakNode(id=id, after=after, loop=str(where.loop), value=value)
            case "value":
                return ValueNode(id=id, after=after, parameter=_INPUT_ALONE)
            case kind:
                return self.waiting(kind, id, after, where)

    def waiting(self, kind: str, id: str, after: tuple[str, ...], where: _Where) -> Node:
        pick = self.choices.pick
        timeout = pick((None, self.duration()))
        match kind:
            case "sleep":
                length = pick((Duration(), self.duration(), self.body()))
                return SleepNode(id=id, after=after, duration=length)
            case "until":
                return UntilNode(id=id, after=after, at=pick(("2030-01-01", "tomorrow", self.body())))
            case "schedule":
                cron, zone = f"{self.choices.number(0, 59)} * * * *", pick((None, "Europe/Vienna"))
                return ScheduleNode(id=id, after=after, cron=cron, time_zone=zone)
            case "signal":
                return SignalNode(id=id, after=after, name=f"s{self.choices.text()}", timeout=timeout)
            case "call":
                given = pick((None, '{"a": 1}', self.body()))
                policy = self.policy(where)
                return CallNode(id=id, after=after, workflow="w", input=given, policy=policy)
            case "instance":
                instance = pick(("0195c0de-0000-7000-8000-000000000000", self.body()))
                return InstanceNode(id=id, after=after, instance=instance, timeout=timeout)
            case _:
                return ConstantNode(id=id, after=after, value='{"timed_out": true}')

    def request(self) -> Request:
        pick, text = self.choices.pick, self.choices.text
        part = Part(name=f"p{text()}", data_b64="eA==", filename=pick((None, text())), content_type=None)
        parts = pick(((), (part,), (part, replace(part, content_type="text/plain"))))
        return Request(
            url="http://x" + text(),
            method=pick(("GET", "POST")),
            body=None if parts else pick((None, text())),
            headers=pick(((), (("A", text()), ("B", text())))),
            timeout_seconds=self.choices.number(1, 1000),
            parts=parts,
        )

    def structure(self, kind: str, after: tuple[str, ...], where: _Where, depth: int) -> Node:
        id = self.id()

        def block(inside: _Where = where) -> Block:
            return self.block(inside, depth)

        def maybe(inside: _Where = where) -> Block | None:
            return self.block(inside, depth) if self.is_so() else None

        match kind:
            case "if":
                return IfNode(id=id, after=after, condition=block(), then=block(), otherwise=maybe())
            case "loop":
                inside, keeps = replace(where, loop=id), self.is_so()
                body, condition = block(inside), maybe(inside)
                every = self.choices.pick((None, self.duration())) if condition is None else None
                return LoopNode(
                    id=id, after=after, body=body, condition=condition, keep_undos=keeps, every=every
                )
            case "race" | "join":
                mode = ArmsMode.RACE if kind == "race" else ArmsMode.ALL_OR_CANCEL
                arms = tuple([block() for _ in range(self.choices.number(1, 3))])
                return ArmsNode(id=id, after=after, arms=arms, mode=mode)
            case "map":
                return MapNode(
                    id=id,
                    after=after,
                    items=_INPUT_ALONE if self.is_so() else self.body(),
                    body=block(),
                    name=self.choices.pick(("item", "row")),
                    max_parallel=self.choices.number(1, 20),
                    batch_size=self.choices.number(1, 3),
                    on_error=self.choices.pick((OnError.FAIL, OnError.CONTINUE)),
                )
            case "atomic":
                body = block(_Where(atomic=True, undo=where.undo))
                return AtomicNode(id=id, after=after, body=body, policy=self.policy(where))
            case "retry":
                policy = replace(self.policy(where), max_attempts=self.choices.number(1, 4))
                return RetryNode(id=id, after=after, body=block(), policy=policy)
            case "timeout":
                body, otherwise = block(), maybe()
                return TimeoutNode(
                    id=id, after=after, body=body, duration=self.duration(), otherwise=otherwise
                )
            case "compensate" if not where.undo:
                return CompensateNode(id=id, after=after, body=block(), undo=block(_Where(undo=True)))
            case _:
                body, catch, final = block(), block(), maybe(replace(where, loop=None))
                return TryNode(id=id, after=after, body=body, catch=catch, final=final)


_INPUT_ALONE = Parameter(name="input", source=INPUT, use=Use.VALUE, start=0, end=6)


# References


@dataclass
class _Referring:
    """Chooses what statements and values refer to."""

    choices: Choices
    nesting: Nest
    certainty: Certainty
    used: set[str] = field(default_factory=set[str])

    def lone(self, place: Place) -> Parameter:
        """A reference that stands alone."""
        found = self.parameter(place, 0)
        if found.use is Use.ROWS and isinstance(self.nesting.node(place), ValueNode):
            found = replace(found, use=Use.VALUE)
        if found.use in (Use.ERROR, Use.ROW_COUNT) and isinstance(self.nesting.node(place), MapNode):
            return _INPUT_ALONE
        self.used |= {found.source, *found.otherwise}
        return found

    def body(self, body: SqlBody, place: Place) -> SqlBody:
        """The statement with references behind its text, some of them in literals."""
        sql, parameters, literals = body.sql, list[Parameter](), list[Literal]()
        for _ in range(self.choices.number(0, 2)):
            quoted = self.choices.pick((False, False, True))
            start = len(sql) + (7 if quoted else 1)
            parameter = self.parameter(place, start)
            self.used |= {parameter.source, *parameter.otherwise}
            parameters.append(parameter)
            written = " " * (parameter.end - start - 1)
            sql += f" date '${written}$$x'" if quoted else f" ${written}"
            if quoted:
                literals.append(
                    Literal(
                        start=start - 1,
                        end=len(sql),
                        type_start=self.choices.pick((None, start - 6)),
                        escapes=self.choices.pick(((), (parameter.end,))),
                    )
                )
        return replace(body, sql=sql, parameters=tuple(parameters), literals=tuple(literals))

    def parameter(self, place: Place, start: int) -> Parameter:
        """A sound reference of the node at `place`."""
        given = self.given(place)
        legal = [
            id for id, at in self.nesting.places.items() if self.certainty.order(at, place) is not Order.NEVER
        ]
        chosen = [self.choices.pick(legal) for _ in range(self.choices.number(0, 2))] if legal else []
        sources = tuple(dict.fromkeys(sorted(chosen, key=lambda id: -int(id[1:]))))
        places = [self.nesting.places[id] for id in sources]
        before = [at for at in places if self.certainty.order(at, place) is Order.BEFORE]
        optional = self.choices.pick((False, True)) or not self.certainty.surely(before, place)
        if not sources:
            sources, optional = (self.choices.pick(given),), self.choices.pick((False, True))
        use, column = self.use([self.nesting.node(at) for at in places])
        if not places and use is not Use.VALUE:
            use, column = Use.VALUE, None
        name = f"x{self.choices.number(0, 99)}"
        return Parameter(
            name=name,
            source=sources[0],
            use=use,
            start=start,
            end=start + 1 + len(name),
            column=column,
            optional=optional,
            aliased=self.choices.pick((False, True)),
            otherwise=sources[1:],
            identifier=self.choices.pick((False, False, True)),
            type=self.choices.pick((None, "date")) if sources == (INPUT,) else None,
        )

    def given(self, place: Place) -> list[str]:
        """The sources that are no node's result: the input, the item of a map, the error of a try."""
        found = [INPUT]
        for _, level in self.nesting.outwards(place):
            node = None if level.holder is None else self.nesting.node(level.holder)
            if isinstance(node, MapNode):
                found.append(item_source(node.id))
            elif isinstance(node, TryNode) and level.role == "catch":
                found.append(error_source(node.id))
        return found

    def use(self, nodes: list[Node]) -> tuple[Use, str | None]:
        """What can be wanted of all of these nodes' results."""
        if nodes and all(_goes_on(node) for node in nodes) and self.choices.pick((False, True)):
            return Use.ERROR, self.choices.pick(("message", "sqlstate"))
        if all(_returns_rows(node) for node in nodes):
            use = self.choices.pick((Use.VALUE, Use.ROWS, Use.ROW_COUNT))
            column = self.choices.text() if use is Use.VALUE and self.choices.pick((False, True)) else None
            return use, column
        counts = len(nodes) == 1 and isinstance(nodes[0], SqlNode)
        return (Use.ROW_COUNT, None) if counts else (Use.VALUE, None)


def _goes_on(node: Node) -> bool:
    return isinstance(node, SqlNode | HttpNode | AtomicNode) and node.policy.on_error is OnError.CONTINUE


def _returns_rows(node: Node) -> bool:
    return isinstance(node, SqlNode) and node.body.returns is Returns.ROWS


def _with_references(choices: Choices, plan: Plan) -> Plan:
    nesting = nest(plan)
    referring = _Referring(choices, nesting, Certainty(nesting))
    made: dict[str, Node] = {}
    for id, place in nesting.places.items():
        node = nesting.node(place)
        match node:
            case SqlNode(body=body):
                made[id] = replace(node, body=referring.body(body, place))
            case HttpNode(request=SqlBody() as body):
                made[id] = replace(node, request=referring.body(body, place))
            case BreakNode(value=SqlBody() as body):
                made[id] = replace(node, value=referring.body(body, place))
            case SleepNode(duration=SqlBody() as body):
                made[id] = replace(node, duration=referring.body(body, place))
            case UntilNode(at=SqlBody() as body):
                made[id] = replace(node, at=referring.body(body, place))
            case CallNode(input=SqlBody() as body):
                made[id] = replace(node, input=referring.body(body, place))
            case InstanceNode(instance=SqlBody() as body):
                made[id] = replace(node, instance=referring.body(body, place))
            case MapNode(items=SqlBody() as body):
                made[id] = replace(node, items=referring.body(body, place))
            case MapNode():
                made[id] = replace(node, items=referring.lone(place))
            case ValueNode():
                made[id] = replace(node, parameter=referring.lone(place))
            case _:
                made[id] = node
    marked = {id: replace(node, used=id in referring.used) for id, node in made.items()}
    return replace(plan, nodes=_rebuilt(plan.nodes, marked))


def _rebuilt(nodes: Sequence[Node], changed: dict[str, Node]) -> tuple[Node, ...]:
    """The nodes as they were changed, with the blocks in them rebuilt likewise."""
    return tuple([_with_blocks(changed[node.id], changed) for node in nodes])


def _with_blocks(node: Node, changed: dict[str, Node]) -> Node:
    def again(block: Block) -> Block:
        return replace(block, nodes=_rebuilt(block.nodes, changed))

    def maybe(block: Block | None) -> Block | None:
        return None if block is None else again(block)

    match node:
        case IfNode():
            return replace(
                node,
                condition=again(node.condition),
                then=again(node.then),
                otherwise=maybe(node.otherwise),
            )
        case LoopNode():
            return replace(node, body=again(node.body), condition=maybe(node.condition))
        case ArmsNode():
            return replace(node, arms=tuple([again(arm) for arm in node.arms]))
        case TimeoutNode():
            return replace(node, body=again(node.body), otherwise=maybe(node.otherwise))
        case TryNode():
            return replace(node, body=again(node.body), catch=again(node.catch), final=maybe(node.final))
        case CompensateNode():
            return replace(node, body=again(node.body), undo=again(node.undo))
        case MapNode() | AtomicNode() | RetryNode():
            return replace(node, body=again(node.body))
        case _:
            return node
