"""From the outline to the plan: every unit becomes a node, every reference a parameter with its source."""

from __future__ import annotations

import json
from typing import assert_never

from dfc.compiler.ast import FanOut, Hole, Http, Join, Later, Sql
from dfc.compiler.facts import Facts
from dfc.compiler.graph import in_order
from dfc.compiler.plan import (
    HttpNode,
    JoinNode,
    Node,
    Parameter,
    Plan,
    Request,
    Returns,
    SqlBody,
    SqlNode,
    Use,
)
from dfc.compiler.plan_verify import verify
from dfc.compiler.scope import Link
from dfc.compiler.sql.analysis import literals_of


class LoweringError(RuntimeError):
    """The plan that came out is not sound: a fault of the compiler, never of the workflow."""


def lower(facts: Facts) -> Plan:
    """The plan of a workflow that has no errors. Raises LoweringError when its verifier finds faults."""
    ids = node_ids(facts)
    bindings = _bindings(facts, ids)
    used = {link.source for links in facts.scope.links.values() for link in links}
    nodes = [_node(facts, unit, ids, bindings[unit], unit in used) for unit in range(len(ids))]
    plan = Plan(nodes=in_order(nodes), result=ids[-1])
    faults = verify(plan)
    if faults:
        raise LoweringError("; ".join(faults[:3]))
    return plan


def node_ids(facts: Facts) -> list[str]:
    """The id of each unit's node: its innermost step name, else `<kind>_<n>`, n in written order from 1."""
    named: dict[int, str] = {}
    for name in facts.outline.names:
        if name.step:
            named.setdefault(name.unit, name.text.value)
    ids: list[str] = []
    for unit, tree in enumerate(unit.tree for unit in facts.outline.units):
        given = named.get(unit)
        if given is None:
            kind = "join" if isinstance(tree, Join | FanOut) else "http" if facts.is_http(unit) else "sql"
            given = f"{kind}_{unit + 1}"
            while given in facts.scope.known:
                given += "_"
        ids.append(given)
    return ids


def _bindings(facts: Facts, ids: list[str]) -> list[tuple[str, ...]]:
    """For each unit the names that are not its id, innermost first, each once."""
    names: list[dict[str, None]] = [{} for _ in ids]
    for name in facts.outline.names:
        if name.text.value != ids[name.unit]:
            names[name.unit][name.text.value] = None
    return [tuple(found) for found in names]


def _node(facts: Facts, unit: int, ids: list[str], bindings: tuple[str, ...], used: bool) -> Node:
    tree = facts.outline.units[unit].tree
    after = tuple([ids[before] for before in facts.outline.units[unit].after])
    match tree:
        case Sql():
            body = _body(facts, unit, ids)
            http = facts.analyses[unit].http
            if http is None:
                return SqlNode(id=ids[unit], after=after, body=body, bindings=bindings, used=used)
            return HttpNode(
                id=ids[unit], after=after, request=body, many=http.many, bindings=bindings, used=used
            )
        case Http():
            return HttpNode(id=ids[unit], after=after, request=_request(tree), bindings=bindings, used=used)
        case Join() | FanOut():
            return JoinNode(id=ids[unit], after=after, bindings=bindings, used=used)
        case Later(construct=construct):
            raise LoweringError(f"`{construct}` came through the checks")
        case Hole():
            raise LoweringError("a faulty part came through the checks")
        case _:
            assert_never(tree)


def _body(facts: Facts, unit: int, ids: list[str]) -> SqlBody:
    analysis = facts.analyses[unit]
    parameters = [_parameter(facts, link, ids) for link in facts.scope.links.get(unit, ())]
    return SqlBody(
        sql=analysis.sql,
        kind=analysis.kind,
        form=analysis.form,
        returns=analysis.returns,
        parameters=tuple(sorted(parameters, key=lambda parameter: parameter.start)),
        literals=literals_of(analysis, facts.scope.known)[1],
    )


def _parameter(facts: Facts, link: Link, ids: list[str]) -> Parameter:
    """A reference with its source. Of a statement without rows, `$name` is the number of rows."""
    reference = link.reference
    source = facts.analyses.get(link.source)
    counts = source is not None and source.http is None and source.returns is Returns.COUNT
    return Parameter(
        name=reference.name,
        source=ids[link.source],
        use=Use.ROW_COUNT if counts else reference.use,
        start=reference.start,
        end=reference.end,
        column=reference.column,
        optional=reference.optional,
        aliased=reference.aliased,
        identifier=reference.identifier,
    )


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
    )
