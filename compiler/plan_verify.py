"""What must be true of every plan. Runs after lowering, after reading JSON, and in every test of either."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dfc.compiler.plan import (
    INPUT,
    READABLE_FORMATS,
    ArmsNode,
    AtomicNode,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Form,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Parameter,
    Plan,
    Returns,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    SqlNode,
    TryNode,
    UntilNode,
    Use,
    ValueNode,
    blocks_of,
    error_source,
    item_source,
)
from dfc.compiler.plan_certainty import Certainty, Order
from dfc.compiler.plan_contents import contents
from dfc.compiler.plan_shape import Level, Nest, Place, nest

_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def verify(plan: Plan) -> tuple[str, ...]:
    """The faults of a plan, one sentence each; none for a good plan. Linear but for the nesting depth."""
    nesting = nest(plan)
    faults = tuple(_order(plan, nesting))
    return faults or (*_nodes(nesting), *_references(nesting))


def _order(plan: Plan, nesting: Nest) -> Iterator[str]:
    """Faults of the graph. The other checks rely on a sound one."""
    if plan.format not in READABLE_FORMATS:
        formats = ", ".join(map(str, READABLE_FORMATS))
        yield f"the format is {plan.format}, none of {formats}"
    seen: set[str] = set()
    for level in nesting.levels:
        for node in level.nodes:
            if _ID.fullmatch(node.id) is None:
                yield f"a node has no id: {node.id[:70]!r} is none"
            if node.id in seen:
                yield f"node `{node.id}` occurs twice"
            seen.add(node.id)
    yield from _block_order(plan.nodes, plan.result, "the plan")
    for level in nesting.levels:
        for node in level.nodes:
            for role, block in blocks_of(node):
                yield from _block_order(block.nodes, block.result, f"the part `{role}` of `{node.id}`")
            if isinstance(node, ArmsNode) and not node.arms:
                yield f"`{node.id}` has no arms"


def _block_order(nodes: Sequence[Node], result: str, where: str) -> Iterator[str]:
    """Faults of the graph of one block."""
    if not nodes:
        yield f"there are no nodes in {where}"
        return
    seen: set[str] = set()
    waited_for: dict[str, bool] = {}
    for node in nodes:
        joins = isinstance(node, JoinNode)
        if joins and not node.after:
            yield f"join `{node.id}` has no branches"
        if not joins and len(node.after) > 1:
            yield f"node `{node.id}` waits for several nodes and is not a join"
        if len(set(node.after)) != len(node.after):
            yield f"node `{node.id}` waits twice for the same node"
        for name in node.after:
            if name not in seen:
                yield f"node `{node.id}` comes before `{name}`, for which it waits"
            if name in waited_for and (joins or waited_for[name]):
                yield f"the branch that ends at `{name}` goes on behind its join"
            waited_for[name] = joins
        seen.add(node.id)
    if result not in seen:
        yield f"the result node `{result}` does not exist in {where}"
    elif nodes[-1].id != result:
        yield f"the result node `{result}` is not the last"
    loose = [node.id for node in nodes if node.id not in waited_for and node.id != result]
    for name in loose:
        yield f"nothing waits for `{name}`"


def _nodes(nesting: Nest) -> Iterator[str]:
    """Faults of single nodes, and of nodes in the wrong place."""
    for level in nesting.levels:
        for index, node in enumerate(level.nodes):
            yield from contents(node)
            place = Place(level.number, index)
            match node:
                case BreakNode():
                    yield from _leaves(nesting, place, node)
                case CompensateNode():
                    around = nesting.outwards(place)
                    if any(_holder_is(nesting, each, CompensateNode, "undo") for _, each in around):
                        yield f"`{node.id}` stands in an undo, which nobody undoes"
                case _:
                    pass
            if _holder_is(nesting, level, AtomicNode, "body"):
                yield from _atomic(nesting, level)


def _holder_is(nesting: Nest, level: Level, kind: type, role: str) -> bool:
    return level.holder is not None and isinstance(nesting.node(level.holder), kind) and level.role == role


def _leaves(nesting: Nest, place: Place, node: BreakNode) -> Iterator[str]:
    for _, level in nesting.outwards(place):
        if level.holder is None or level.role in ("undo", "finally"):
            break
        around = nesting.node(level.holder)
        if isinstance(around, LoopNode):
            if around.id == node.loop:
                return
            break
    yield f"`{node.id}` leaves `{node.loop}`, which is not the nearest loop around it"


def _atomic(nesting: Nest, level: Level) -> Iterator[str]:
    """What a transaction of several steps may hold, ifs looked into."""
    todo = [level]
    while todo:
        here = todo.pop()
        for index, node in enumerate(here.nodes):
            match node:
                case SqlNode():
                    if node.body.form is Form.AUTOCOMMIT or node.policy.on_error is OnError.CONTINUE:
                        yield f"`{node.id}` cannot be a part of a transaction"
                case IfNode():
                    todo += [nesting.levels[block] for block in nesting.inner[Place(here.number, index)]]
                case ValueNode():
                    pass
                case _:
                    yield f"`{node.id}` cannot be a part of a transaction"


# References


def _references(nesting: Nest) -> Iterator[str]:
    certainty = Certainty(nesting)
    used: set[str] = set()
    for level in nesting.levels:
        for index, node in enumerate(level.nodes):
            place = Place(level.number, index)
            for parameter in parameters_of(node):
                used.update(_sources(parameter))
                yield from _reference(nesting, certainty, place, parameter)
    for level in nesting.levels:
        for node in level.nodes:
            if node.used != (node.id in used):
                yield f"`used` of `{node.id}` is {node.used}"


def _sources(parameter: Parameter) -> tuple[str, ...]:
    return (parameter.source, *parameter.otherwise)


def _reference(nesting: Nest, certainty: Certainty, place: Place, parameter: Parameter) -> Iterator[str]:
    """Faults of one reference: every node it may mean can have run, and one has, or it is optional."""
    node = nesting.node(place)
    sources = _sources(parameter)
    if len(set(sources)) != len(sources):
        yield f"`${parameter.name}` in `{node.id}` names a source twice"
    places: list[Place] = []
    certain = False
    for source in sources:
        given = _given(nesting, place, source)
        if given is not None:
            certain = True
            if not given:
                yield f"`{node.id}` refers to `{source}`, which does not exist there"
            continue
        found = nesting.places.get(source)
        if found is None:
            yield f"`{node.id}` refers to `{source}`, which does not exist"
            return
        order = certainty.order(found, place)
        if order is Order.NEVER:
            yield f"`{node.id}` refers to `{source}`, which may not have completed"
            return
        if order is Order.BEFORE:
            places.append(found)
        yield from _fitting(node, parameter, nesting.node(found), alone=len(sources) == 1)
    if not (certain or parameter.optional or certainty.surely(places, place)):
        yield f"`${parameter.name}` in `{node.id}` is not certain, and not optional"


def _given(nesting: Nest, place: Place, source: str) -> bool | None:
    """Whether a source that is no node's result is there; None for a node."""
    if source == INPUT:
        return True
    if not source.endswith((item_source(""), error_source(""))):
        return None
    for _, level in nesting.outwards(place):
        if level.holder is None:
            break
        around = nesting.node(level.holder)
        if isinstance(around, MapNode) and item_source(around.id) == source:
            return True
        if isinstance(around, TryNode) and level.role == "catch" and error_source(around.id) == source:
            return True
    return False


def _fitting(node: Node, parameter: Parameter, source: Node, *, alone: bool) -> Iterator[str]:
    """A fault where the source surely does not give what the reference wants of it."""
    use, column = parameter.use, parameter.column
    use = Use.ROWS if use is Use.JSON else use
    if use is Use.ERROR:
        goes_on = isinstance(source, SqlNode | HttpNode | AtomicNode | CallNode)
        fits = goes_on and source.policy.on_error is OnError.CONTINUE
    else:
        match source:
            case SqlNode(body=SqlBody(kind="call")):
                # It gives a row where the procedure has OUT parameters, which only a server knows.
                fits = True
            case SqlNode(body=SqlBody(returns=Returns.COUNT)):
                # Where another node may be meant too, what the value is shows when it is there.
                fits = use is Use.ROW_COUNT or (not alone and use is Use.VALUE and column is None)
            case HttpNode():
                fits = use is Use.VALUE and not (source.many and column is not None)
            case JoinNode():
                fits = use is Use.VALUE and column is None
            case ValueNode() | ConstantNode():
                fits = use is Use.VALUE
            case SleepNode() | UntilNode() | ScheduleNode() | SignalNode() | InstanceNode():
                fits = use is Use.VALUE
            case MapNode():
                fits = use in (Use.VALUE, Use.ROWS)
            case _:
                fits = True
    if not fits and alone:
        yield f"`${parameter.name}` in `{node.id}` wants of `{source.id}` what that does not give"


def parameters_of(node: Node) -> tuple[Parameter, ...]:
    """The references of a node to other nodes' results."""
    match node:
        case (
            SqlNode(body=body)
            | HttpNode(request=SqlBody() as body)
            | BreakNode(value=SqlBody() as body)
            | MapNode(items=SqlBody() as body)
            | SleepNode(duration=SqlBody() as body)
            | UntilNode(at=SqlBody() as body)
            | CallNode(input=SqlBody() as body)
            | InstanceNode(instance=SqlBody() as body)
        ):
            return body.parameters
        case ValueNode(parameter=parameter) | MapNode(items=Parameter() as parameter):
            return (parameter,)
        case _:
            return ()
