"""A failing case made smaller, while it still fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from dfc.compiler.plan import (
    DEFAULT_POLICY,
    Block,
    BreakNode,
    HttpNode,
    IfNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    Parameter,
    Plan,
    SqlNode,
    TimeoutNode,
    TryNode,
    ValueNode,
    blocks_of,
)
from dfc.compiler.plan_verify import verify
from tests.simulate.places import nodes_in
from tests.simulate.plans import Made
from tests.simulate.run import Case, Failure, Run, random_case
from tests.simulate.trees import parameters_of, rewritten, with_blocks, with_parameters, with_used

SCHEDULES = 25
"""With so many seeds a smaller case is tried before it counts as harmless."""


def shrink(seed: int, say: Callable[[str], None]) -> tuple[Case, int, str]:
    """The smallest case found, a seed with which it fails, and how. Raises ValueError if `seed` does not."""
    case = random_case(seed)
    found = _failure(case, seed)
    if found is None:
        raise ValueError(f"seed {seed} does not fail")
    kind = _kind(found)
    problem = found
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(case):
            tried = _fails(candidate, seed, kind)
            if tried is not None:
                case, smaller = candidate, True
                seed, problem = tried
                say(f"{_size(case)} nodes, {sum(case.faults.values())} faults")
                break
    return case, seed, problem


def _failure(case: Case, seed: int) -> str | None:
    try:
        Run(seed, case=case).execute()
    except Failure as failure:
        return str(failure)
    return None


def _fails(case: Case, seed: int, kind: str) -> tuple[int, str] | None:
    for schedule in range(seed, seed + SCHEDULES):
        problem = _failure(case, schedule)
        if problem is not None and _kind(problem) == kind:
            return schedule, problem
    return None


def _kind(problem: str) -> str:
    """A failure without its names and numbers."""
    text = problem.partition(": ")[2].partition("\n")[0]
    return re.sub(r"`[^`]*`|\{.*|\[.*|i?\d+", "", text)[:60]


def _size(case: Case) -> int:
    return sum(len(list(nodes_in(_block(made.plan)))) for made in case.plans)


def _block(plan: Plan) -> Block:
    return Block(nodes=plan.nodes, result=plan.result)


def _smaller(case: Case) -> Iterator[Case]:
    """Cases that are a little smaller, those that save most first."""
    if len(case.plans) > 1:
        for made in case.plans:
            yield replace(case, plans=(made,))
    for kind, count in case.faults.items():
        if count:
            yield replace(case, faults={**case.faults, kind: 0})
    for value in ("badness", "slowness"):
        if getattr(case, value):
            yield replace(case, **{value: 0.0})
    for at, made in enumerate(case.plans):
        for plan in _smaller_plans(made):
            yield replace(case, plans=(*case.plans[:at], replace(made, plan=plan), *case.plans[at + 1 :]))
        if made.doomed:
            yield replace(
                case, plans=(*case.plans[:at], replace(made, doomed=frozenset()), *case.plans[at + 1 :])
            )


def _smaller_plans(made: Made) -> Iterator[Plan]:
    for block in _smaller_blocks(_block(made.plan)):
        plan = _mended(Plan(nodes=block.nodes, result=block.result))
        if plan is not None and _ends(plan, made):
            yield plan


def _ends(plan: Plan, made: Made) -> bool:
    """Whether every loop still has the step that ends it."""
    ids = {node.id for node in nodes_in(_block(plan))}
    return all(step in ids for step, (loop, _) in made.forced.items() if loop in ids)


def _mended(plan: Plan) -> Plan | None:
    """The plan without references to what is gone; None if it is not sound."""
    ids = {node.id for node in nodes_in(_block(plan))}

    def there(parameter: Parameter) -> bool:
        return all(source.strip("[]!").lstrip("$") in ids | {"input"} for source in _sources(parameter))

    block = rewritten(_block(plan), lambda node: with_parameters(node, there))
    plan = with_used(Plan(nodes=block.nodes, result=block.result))
    whole = all(there(parameter) for node in nodes_in(block) for parameter in parameters_of(node))
    return plan if whole and not verify(plan) else None


def _sources(parameter: Parameter) -> tuple[str, ...]:
    return (parameter.source, *parameter.otherwise)


def _smaller_blocks(block: Block) -> Iterator[Block]:
    for node in block.nodes:
        if len(block.nodes) > 1:
            yield _without(block, node)
        for _, inner in blocks_of(node):
            yield _inlined(block, node, inner)
        for simple in _simpler(node):
            yield _with(block, node, simple)
    for node in block.nodes:
        for part, inner in blocks_of(node):
            for less in _smaller_blocks(inner):
                parts = [less if other == part else same for other, same in blocks_of(node)]
                yield _with(block, node, with_blocks(node, parts))


def _with(block: Block, old: Node, new: Node) -> Block:
    nodes = tuple(new if node is old else node for node in block.nodes)
    return Block(nodes=nodes, result=block.result)


def _without(block: Block, gone: Node) -> Block:
    """The block without a node; what came after it comes after what it came after."""
    nodes = tuple(_behind(node, gone.id, gone.after) for node in block.nodes if node is not gone)
    result = block.result if block.result != gone.id else nodes[-1].id
    return Block(nodes=nodes, result=result)


def _inlined(block: Block, node: Node, inner: Block) -> Block:
    """The block with one of a node's parts in its place."""
    nodes: list[Node] = []
    for other in block.nodes:
        if other is node:
            nodes += [replace(part, after=node.after) if not part.after else part for part in inner.nodes]
        else:
            nodes.append(_behind(other, node.id, (inner.result,)))
    return Block(nodes=tuple(nodes), result=inner.result if block.result == node.id else block.result)


def _behind(node: Node, gone: str, instead: tuple[str, ...]) -> Node:
    if gone not in node.after:
        return node
    after: list[str] = []
    for id in node.after:
        after += instead if id == gone else (id,)
    return replace(node, after=tuple(dict.fromkeys(after)))


def _simpler(node: Node) -> Iterator[Node]:
    """The node without one of the things that it can do without."""
    match node:
        case IfNode() | TimeoutNode() if node.otherwise is not None:
            yield replace(node, otherwise=None)
        case TryNode() if node.final is not None:
            yield replace(node, final=None)
        case LoopNode() if node.keep_undos:
            yield replace(node, keep_undos=False)
        case MapNode() if node.batch_size > 1:
            yield replace(node, batch_size=1)
        case SqlNode() | HttpNode() if node.policy != DEFAULT_POLICY:
            yield replace(node, policy=DEFAULT_POLICY)
        case _:
            pass
    if not isinstance(node, ValueNode | JoinNode | BreakNode) and parameters_of(node):
        for gone in parameters_of(node):
            less = with_parameters(node, lambda parameter, gone=gone: parameter is not gone)
            if less is not node:
                yield less
