"""Random plans, for properties: trees of chains and joins, flattened the way lowering does."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from dfc.compiler.plan import (
    Form,
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
from dfc.compiler.plan_shape import shape

Tree = int | list["Tree"] | tuple["Tree", ...]

# A leaf, a chain (list) or a group (tuple).
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.integers(0, 5),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=12,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A sound plan, with every kind of node, request and reference."""
    nodes: list[Node] = []

    def build(tree: Tree, before: tuple[str, ...]) -> str:
        match tree:
            case int():
                node_id = f"n{len(nodes)}"
                nodes.append(_leaf(draw, tree, node_id, before))
            case list():
                for item in tree:
                    before = (build(item, before),)
                return before[0]
            case _:
                lasts = tuple([build(branch, before) for branch in tree])
                node_id = f"n{len(nodes)}"
                nodes.append(JoinNode(id=node_id, after=lasts, bindings=_bindings(draw)))
        return node_id

    result = build(draw(TREES), ())
    return _with_references(draw, Plan(nodes=tuple(nodes), result=result))


def _bindings(draw: st.DrawFn) -> tuple[str, ...]:
    return tuple(draw(st.lists(TEXTS.filter(bool), max_size=2, unique=True)))


def _leaf(draw: st.DrawFn, choice: int, node_id: str, after: tuple[str, ...]) -> Node:
    bindings = _bindings(draw)
    body = SqlBody(
        sql="SELECT" + draw(TEXTS),
        kind="select",
        form=draw(st.sampled_from([Form.WITH, Form.QUERY, Form.EXECUTE])),
        returns=Returns.ROWS if choice else Returns.COUNT,
    )
    if choice == 4:
        return HttpNode(id=node_id, after=after, request=body, many=draw(st.booleans()), bindings=bindings)
    if choice == 5:
        request = Request(
            url="http://x" + draw(TEXTS),
            method=draw(st.sampled_from(["GET", "POST"])),
            body=draw(st.none() | TEXTS),
            headers=tuple(draw(st.lists(st.tuples(TEXTS, TEXTS), max_size=2))),
            timeout_seconds=draw(st.integers(1, 1000)),
        )
        return HttpNode(id=node_id, after=after, request=request, bindings=bindings)
    return SqlNode(id=node_id, after=after, body=body, bindings=bindings)


def _with_references(draw: st.DrawFn, plan: Plan) -> Plan:
    nesting = shape(plan.nodes)
    nodes = list(plan.nodes)
    used: set[str] = set()
    for i, node in enumerate(plan.nodes):
        match node:
            case SqlNode(body=body) | HttpNode(request=SqlBody() as body):
                pass
            case _:
                continue
        legal = [
            k
            for k in range(len(nodes))
            if nesting.completes_before(k, i) and not isinstance(nodes[k], JoinNode)
        ]
        parameters: list[Parameter] = []
        sql = body.sql
        for k in draw(st.lists(st.sampled_from(legal), max_size=2)) if legal else []:
            source = plan.nodes[k]
            used.add(source.id)
            counts = isinstance(source, SqlNode) and source.body.returns is Returns.COUNT
            parameters.append(
                Parameter(
                    name=source.id,
                    source=source.id,
                    use=Use.ROW_COUNT if counts else Use.VALUE,
                    start=len(sql),
                    end=len(sql) + 1 + len(source.id),
                    optional=draw(st.booleans()),
                    aliased=draw(st.booleans()),
                    column=None
                    if counts or (isinstance(source, HttpNode) and source.many)
                    else draw(st.none() | TEXTS),
                )
            )
            sql += f"${source.id}"
        body = replace(body, sql=sql, parameters=tuple(parameters))
        nodes[i] = replace(node, body=body) if isinstance(node, SqlNode) else replace(node, request=body)
    return Plan(nodes=tuple([replace(node, used=node.id in used) for node in nodes]), result=plan.result)
