"""Random plans over what exists (chain, join, fan-out, SQL, HTTP, references); what comes of their steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

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

CONFLICTS = ("40001", "40P01", "55P03", "57014")
LOSSES = ("08006", "57P01", "53300")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What comes of an activation's executions: `transients`, one each, then `error` or success.

    `for_ever`: the transient errors never stop; `error` is then what the step fails with.
    """

    transients: tuple[str, ...] = ()
    error: str | None = None
    for_ever: bool = False


@dataclass(slots=True)
class _Builder:
    random: Random
    nodes: list[Node]
    budget: int

    def expression(self, after: tuple[str, ...], visible: list[str], depth: int) -> tuple[str, list[str]]:
        """Add the nodes of a random expression; return its last node and all that has completed after it."""
        kind = self.random.choices(("step", "chain", "join"), (2, 3, 3))[0] if depth else "step"
        if self.budget <= 1:
            kind = "step"
        if kind == "step":
            return self.step(after, visible)
        if kind == "chain":
            last, seen = "", visible
            for _ in range(self.random.randint(2, 3)):
                last, seen = self.expression(after, seen, depth - 1)
                after = (last,)
            return last, seen
        lasts: list[str] = []
        seen = list(visible)
        for _ in range(self.random.randint(2, 4)):
            last, done = self.expression(after, visible, depth - 1)
            lasts.append(last)
            seen.extend(name for name in done if name not in seen)
        name = f"join{len(self.nodes)}"
        self.nodes.append(JoinNode(id=name, after=tuple(lasts)))
        return name, seen

    def step(self, after: tuple[str, ...], visible: list[str]) -> tuple[str, list[str]]:
        self.budget -= 1
        name = f"s{len(self.nodes)}"
        kind = self.random.choices(("sql", "http", "query", "queries"), (6, 1, 2, 1))[0]
        many = kind == "queries"
        if kind == "http":
            request = Request(url=f"http://{name}/", method="POST", body=None, headers=(), timeout_seconds=30)
            self.nodes.append(HttpNode(id=name, after=after, request=request))
        elif kind == "sql":
            self.nodes.append(SqlNode(id=name, after=after, body=self.body(name, visible, counts=True)))
        else:
            body = self.body(name, visible, counts=False)
            self.nodes.append(HttpNode(id=name, after=after, request=body, many=many))
        return name, [*visible, name]

    def body(self, name: str, visible: list[str], *, counts: bool) -> SqlBody:
        by_id = {node.id: node for node in self.nodes}
        picked = self.random.sample(visible, min(len(visible), self.random.choice((0, 0, 1, 1, 2, 3))))
        text = f"SELECT '{name}'"
        parameters: list[Parameter] = []
        for source in picked:
            text += ", "
            written = f"${source}"
            node = by_id[source]
            use = Use.VALUE
            if isinstance(node, SqlNode) and node.body.returns is Returns.COUNT:
                use, written = Use.ROW_COUNT, f"${source}.row_count"
            start = len(text)
            text += written
            parameters.append(Parameter(name=source, source=source, use=use, start=start, end=len(text)))
        returns = self.random.choice((Returns.ROWS, Returns.COUNT)) if counts else Returns.ROWS
        return SqlBody(sql=text, kind="select", form=Form.WITH, returns=returns, parameters=tuple(parameters))


def random_plan(random: Random, *, steps: int) -> Plan:
    """A plan of about so many steps at most, as the compiler might make it."""
    builder = _Builder(random, [], steps)
    result, _ = builder.expression((), [], random.randint(0, 3))
    used: set[str] = set()
    for node in builder.nodes:
        body = node.body if isinstance(node, SqlNode) else None
        if isinstance(node, HttpNode) and isinstance(node.request, SqlBody):
            body = node.request
        used.update(parameter.source for parameter in (body.parameters if body else ()))
    return Plan(nodes=tuple(replace(node, used=node.id in used) for node in builder.nodes), result=result)


def paths_of(plan: Plan) -> list[str]:
    """The paths of all activations, in the plan's order."""
    paths: list[str] = []
    for node in plan.nodes:
        match node:
            case SqlNode():
                paths.append(node.id)
            case HttpNode(request=Request()):
                paths.append(f"{node.id}/response")
            case HttpNode():
                paths.extend((f"{node.id}/request", f"{node.id}/response"))
            case JoinNode():
                pass
    return paths


def random_fates(random: Random, plan: Plan, *, badness: float) -> dict[str, Fate]:
    """A fate for each activation; `badness` is how likely one is to have trouble of its own."""
    fates: dict[str, Fate] = {}
    for path in paths_of(plan):
        fate = Fate()
        if random.random() < badness:
            kind = random.choice(("conflicts", "losses", "error", "error", "for ever"))
            if kind == "conflicts":
                fate = Fate(transients=tuple(random.choices(CONFLICTS, k=random.randint(1, 4))))
            elif kind == "losses":
                fate = Fate(transients=tuple(random.choices(LOSSES, k=random.randint(1, 7))))
            elif kind == "error":
                fate = Fate(
                    transients=tuple(random.choices(CONFLICTS, k=random.randint(0, 1))), error="22012"
                )
            else:
                fate = Fate(error=random.choice(CONFLICTS), for_ever=True)
        fates[path] = fate
    return fates
