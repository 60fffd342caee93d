"""From the outline to the plan: every unit becomes a node, every reference a parameter with its sources."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from dfc.compiler.ast import (
    Atomic,
    Break,
    CallWorkflow,
    Compensate,
    Constant,
    FanOut,
    Hole,
    Http,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Race,
    Ref,
    Retry,
    Sleep,
    Sql,
    Timeout,
    Try,
    WaitFor,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.facts import Facts
from dfc.compiler.graph import in_order
from dfc.compiler.json_text import JsonFault, read_json
from dfc.compiler.links import Link, Of, Source
from dfc.compiler.lower_waits import waiting_node
from dfc.compiler.node_ids import node_ids
from dfc.compiler.outline import FLAT, OUTERMOST, Fork, Outline, Role
from dfc.compiler.plan import (
    INPUT,
    ArmsMode,
    ArmsNode,
    AtomicNode,
    Block,
    BreakNode,
    CompensateNode,
    ConstantNode,
    Duration,
    Form,
    HttpNode,
    IfNode,
    JoinNode,
    Literal,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Parameter,
    Part,
    Plan,
    Request,
    RetryNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    Use,
    ValueNode,
    error_source,
    item_source,
)
from dfc.compiler.plan_verify import verify
from dfc.compiler.policies import policy_of
from dfc.compiler.scope import known_names
from dfc.compiler.sql.analysis import literals_of


class LoweringError(RuntimeError):
    """The plan that came out is not sound: a fault of the compiler, never of the workflow."""


def lower(facts: Facts) -> Plan:
    """The plan of a workflow that has no errors. Raises LoweringError when its verifier finds faults."""
    lowering = _Lowering(facts)
    plan = lowering.plan()
    faults = verify(plan)
    if faults:
        raise LoweringError("; ".join(faults[:3]))
    return plan


class _Lowering:
    """What all nodes need: the ids, the names, who is referred to, and the blocks made so far, by branch."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._outline = facts.outline
        self._known = known_names(facts.outline)
        self._ids = node_ids(facts)
        self._bindings = _bindings(facts, self._ids)
        links = facts.scope.links.values()
        sources = [source for found in links for link in found for source in link.sources]
        self._used = {source.unit for source in sources if source.of is Of.RESULT}
        self._blocks: dict[int, Block] = {}

    def plan(self) -> Plan:
        """The plan. A branch comes behind the one around it, so the inner blocks are made first."""
        for branch, units in reversed(_by_block(self._outline)):
            nodes = [self._node(unit) for unit in units]
            block = Block(nodes=in_order(nodes), result=nodes[-1].id)
            if branch == OUTERMOST:
                return Plan(nodes=block.nodes, result=block.result)
            self._blocks[branch] = block
        raise LoweringError("a workflow without nodes came through the checks")

    def _node(self, unit: int) -> Node:
        found = self._outline.units[unit]
        id = self._ids[unit]
        after = tuple([self._ids[before] for before in found.after])
        bindings = self._bindings[unit]
        used = unit in self._used
        if found.fork is not None:
            return self._structure(self._outline.forks[found.fork], id, after, bindings, used)
        match found.tree:
            case Sql():
                policy = policy_of(self._facts.policies.of(unit))
                body = self._body(unit)
                http = self._facts.analyses[unit].http
                if http is None:
                    return SqlNode(id=id, after=after, body=body, bindings=bindings, used=used, policy=policy)
                return HttpNode(
                    id=id,
                    after=after,
                    request=body,
                    many=http.many,
                    bindings=bindings,
                    used=used,
                    policy=policy,
                )
            case Http() as tree:
                return HttpNode(
                    id=id,
                    after=after,
                    request=self._body(unit) if unit in self._facts.analyses else _request(tree),
                    bindings=bindings,
                    used=used,
                    policy=policy_of(self._facts.policies.of(unit)),
                )
            case Ref():
                [parameter] = self._parameters(unit)
                return ValueNode(id=id, after=after, parameter=parameter, bindings=bindings, used=used)
            case Break() as tree:
                loop = self._outline.loop_of(unit)
                if loop is None:
                    raise LoweringError("a `df.break` outside of a loop came through the checks")
                return BreakNode(
                    id=id,
                    after=after,
                    loop=self._ids[loop],
                    value=self._body(unit) if unit in self._facts.analyses else _json(tree),
                    bindings=bindings,
                    used=used,
                )
            case Constant(value=value):
                return ConstantNode(id=id, after=after, value=value, bindings=bindings, used=used)
            case Sleep() | WaitUntil() | WaitSchedule() | WaitSignal() | CallWorkflow() | WaitInstance():
                computed = self._body(unit) if unit in self._facts.analyses else None
                policy = policy_of(self._facts.policies.of(unit))
                node = waiting_node(found.tree, id, after, computed, policy)
                return replace(node, bindings=bindings, used=used)
            case _:
                raise LoweringError("a part without a fork came through the outline")

    def _structure(
        self, fork: Fork, id: str, after: tuple[str, ...], bindings: tuple[str, ...], used: bool
    ) -> Node:
        """The node of a construct with parts."""
        tree = fork.tree
        match tree:
            case Join() | FanOut() if not tree.cancels:
                return JoinNode(id=id, after=after, bindings=bindings, used=used)
            case Join() | FanOut() | Race():
                return ArmsNode(
                    id=id,
                    after=after,
                    arms=tuple([self._blocks[branch] for branch in fork.branches]),
                    mode=ArmsMode.RACE if isinstance(tree, Race) else ArmsMode.ALL_OR_CANCEL,
                    bindings=bindings,
                    used=used,
                )
            case If() | IfRows():
                return IfNode(
                    id=id,
                    after=after,
                    condition=self._block(fork, Role.CONDITION),
                    then=self._block(fork, Role.THEN),
                    otherwise=self._optional(fork, Role.ELSE),
                    bindings=bindings,
                    used=used,
                )
            case Loop():
                return LoopNode(
                    id=id,
                    after=after,
                    body=self._block(fork, Role.BODY),
                    condition=self._optional(fork, Role.WHILE),
                    keep_undos=tree.keep_undos,
                    bindings=bindings,
                    used=used,
                )
            case Map():
                has_query = fork.unit in self._facts.analyses
                return MapNode(
                    id=id,
                    after=after,
                    items=self._body(fork.unit) if has_query else self._parameters(fork.unit)[0],
                    body=self._block(fork, Role.BODY),
                    name=tree.name.value,
                    max_parallel=tree.max_parallel,
                    batch_size=tree.batch_size,
                    on_error=OnError(tree.on_error),
                    bindings=bindings,
                    used=used,
                )
            case _:
                return self._guarded(fork, id, after, bindings, used)

    def _guarded(
        self, fork: Fork, id: str, after: tuple[str, ...], bindings: tuple[str, ...], used: bool
    ) -> Node:
        """The node of a construct around a body that may fail, or be undone."""
        tree = fork.tree
        match tree:
            case Atomic() | Retry():
                policy = policy_of(self._facts.policies.of(fork.unit))
                kind = AtomicNode if isinstance(tree, Atomic) else RetryNode
                body = self._block(fork, Role.BODY)
                return kind(id=id, after=after, body=body, policy=policy, bindings=bindings, used=used)
            case Timeout():
                return TimeoutNode(
                    id=id,
                    after=after,
                    body=self._block(fork, Role.BODY),
                    duration=tree.duration,
                    otherwise=self._optional(fork, Role.ELSE),
                    bindings=bindings,
                    used=used,
                )
            case Try():
                return TryNode(
                    id=id,
                    after=after,
                    body=self._block(fork, Role.BODY),
                    catch=self._block(fork, Role.CATCH),
                    final=self._optional(fork, Role.FINALLY),
                    bindings=bindings,
                    used=used,
                )
            case Compensate():
                return CompensateNode(
                    id=id,
                    after=after,
                    body=self._block(fork, Role.BODY),
                    undo=self._block(fork, Role.UNDO),
                    bindings=bindings,
                    used=used,
                )
            case WaitFor(timeout=None):
                body = self._block(fork, Role.BODY)
                every = tree.every
                return LoopNode(id=id, after=after, body=body, every=every, bindings=bindings, used=used)
            case WaitFor(timeout=Duration() as limit):
                return TimeoutNode(
                    id=id,
                    after=after,
                    body=self._block(fork, Role.BODY),
                    duration=limit,
                    otherwise=self._block(fork, Role.ELSE),
                    bindings=bindings,
                    used=used,
                )
            case Hole():
                raise LoweringError("a faulty part came through the checks")
            case _:
                raise LoweringError(f"a `{type(tree).__name__}` came where none belongs")

    def _block(self, fork: Fork, role: Role) -> Block:
        found = self._optional(fork, role)
        if found is None:
            raise LoweringError(f"a construct has no part `{role}`")
        return found

    def _optional(self, fork: Fork, role: Role) -> Block | None:
        for branch in fork.branches:
            if self._outline.branches[branch].role is role:
                return self._blocks[branch]
        return None

    # Statements and references

    def _body(self, unit: int) -> SqlBody:
        analysis = self._facts.analyses[unit]
        parameters = self._parameters(unit)
        literals = literals_of(analysis, self._known)[1]
        return SqlBody(
            sql=analysis.sql,
            kind=analysis.kind,
            form=Form.AUTOCOMMIT if self._is_autocommit(unit) else analysis.form,
            returns=analysis.returns,
            parameters=parameters,
            # A name that is known elsewhere only is text here.
            literals=tuple(
                literal for literal in literals if literal.escapes or _refers(literal, parameters)
            ),
        )

    def _is_autocommit(self, unit: int) -> bool:
        given = self._facts.policies.of(unit).get("autocommit")
        return given is not None and given.value is True

    def _parameters(self, unit: int) -> tuple[Parameter, ...]:
        links = self._facts.scope.links.get(unit, ())
        return tuple(sorted(map(self._parameter, links), key=lambda parameter: parameter.start))

    def _parameter(self, link: Link) -> Parameter:
        """A reference with its sources. Of statements without rows, `$name` is the number of rows."""
        reference = link.reference
        first, *others = [self._source(source) for source in link.sources]
        return Parameter(
            name=reference.name,
            source=first,
            use=self._use(link),
            start=reference.start,
            end=reference.end,
            column=reference.column,
            optional=reference.optional,
            aliased=reference.aliased,
            otherwise=tuple(others),
            identifier=reference.identifier,
            type=self._type(link),
        )

    def _type(self, link: Link) -> str | None:
        """What a field of the input is declared to be."""
        source, reference, params = link.only, link.reference, self._facts.params
        if params is None or source is None or source.of is not Of.INPUT or reference.use is not Use.VALUE:
            return None
        return None if reference.column is None else params[reference.column]

    def _use(self, link: Link) -> Use:
        use = link.reference.use
        if use is not Use.VALUE or link.reference.column is not None:
            return use
        only = link.only
        if only is not None and only.of is Of.ITEM:
            tree = self._outline.units[only.unit].tree
            return Use.JSON if isinstance(tree, Map) and tree.batch_size > 1 else use
        counts = all(source.of is Of.RESULT and self._facts.is_count(source.unit) for source in link.sources)
        return Use.ROW_COUNT if counts else use

    def _source(self, source: Source) -> str:
        match source.of:
            case Of.RESULT:
                return self._ids[source.unit]
            case Of.ITEM:
                return item_source(self._ids[source.unit])
            case Of.ERROR:
                return error_source(self._ids[source.unit])
            case Of.INPUT:
                return INPUT
            case _:
                assert_never(source.of)


def _bindings(facts: Facts, ids: list[str]) -> list[tuple[str, ...]]:
    """For each unit the names that are not its id, innermost first, each once."""
    names: list[dict[str, None]] = [{} for _ in ids]
    for name in facts.outline.names:
        if name.text.value != ids[name.unit]:
            names[name.unit][name.text.value] = None
    return [tuple(found) for found in names]


def _by_block(outline: Outline) -> list[tuple[int, list[int]]]:
    """The units of each block in written order; the block is known by its branch."""
    block = {OUTERMOST: OUTERMOST}
    units: dict[int, list[int]] = {OUTERMOST: []}
    for number, branch in enumerate(outline.branches):
        block[number] = block[branch.parent] if branch.role in FLAT else number
        units.setdefault(block[number], [])
    for number, unit in enumerate(outline.units):
        units[block[unit.branch]].append(number)
    return sorted(units.items())


def _json(tree: Break) -> str:
    """The constant value of a break: JSON as it is, anything else as a JSON string."""
    if tree.value is None:
        return "null"
    try:
        read_json(tree.value.value)
    except JsonFault:
        return json.dumps(tree.value.value, ensure_ascii=False)
    return tree.value.value


def _request(tree: Http) -> Request:
    headers: dict[str, object] = {} if tree.headers is None else json.loads(tree.headers)
    return Request(
        url=tree.url.value,
        method=tree.method,
        body=None if tree.body is None else tree.body.value,
        headers=tuple(
            [
                (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
                for name, value in headers.items()
                if value is not None
            ]
        ),
        timeout_seconds=tree.timeout_seconds,
        parts=() if tree.parts is None else tuple([_part(part) for part in json.loads(tree.parts)]),
    )


def _part(part: Mapping[str, str | None]) -> Part:
    return Part(
        name=part["name"] or "",
        data_b64=part["data_b64"] or "",
        filename=part.get("filename"),
        content_type=part.get("content_type"),
    )


def _refers(literal: Literal, parameters: tuple[Parameter, ...]) -> bool:
    """Whether one of the parameters, which are in ascending order, stands in a literal."""
    index = bisect_left(parameters, literal.start, key=lambda parameter: parameter.start)
    return index < len(parameters) and parameters[index].start < literal.end
