"""Types flow through a plan: what a step gives is what the references to it are made of.

A describer is asked about each statement, in the order of the plan. In loops a reference may mean the round
before, so the plan is gone through until nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from dfc.compiler import plan_describe as given
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
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    Parameter,
    Plan,
    RetryNode,
    Returns,
    SleepNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    Use,
    ValueNode,
    blocks_of,
    error_source,
    every_node,
    item_source,
)
from dfc.compiler.plan_describe import (
    NO_SUCH_RESULT,
    NULL,
    UNKNOWN,
    Absent,
    Array,
    Batch,
    Count,
    Described,
    Describer,
    Found,
    Items,
    Json,
    Refused,
    Rows,
    Shape,
    Statement,
    Unknown,
    Unsaid,
    alternatives,
    either,
    field_of,
    type_of,
)
from dfc.compiler.plan_gives import ANY_JSON, ERROR, RESPONSE, constant, json_type, waited
from dfc.compiler.plan_made import Made
from dfc.compiler.plan_mixed import in_each_case
from dfc.compiler.plan_refusals import Problem, problem_of
from dfc.compiler.plan_settled import Settled
from dfc.compiler.plan_shape import nest

PASSES_MAX: Final = 4
"""How often a plan is gone through until what its loops carry on is known; then it counts as unknown."""

_WORD: Final = re.compile(r"\w+")
_NAME: Final = re.compile(r"[^\W\d]\w*")
NOTES_MAX: Final = 5
_CHOSEN: Final = ("then", "else", "catch", "undo")
_FIRST_ROUND: Final = (
    "so it is in the first round of a loop: what comes from the round before is NULL then, of no type"
    " (`$x?::integer` gives it one)",
    None,
)
_SIMILARITY_MIN: Final = 0.6


@dataclass(frozen=True, slots=True)
class Flow:
    """What the nodes give, by id and by the other sources of references; and the problems in order."""

    shapes: Mapping[str, Shape]
    problems: tuple[Problem, ...]


def statements_of(plan: Plan) -> list[str]:
    """The statements of a plan, as `Made` wants them."""
    return [body.sql for node in every_node(plan.nodes) if (body := body_of(node)) is not None]


def body_of(node: Node) -> SqlBody | None:
    """The statement of a node, None where it has none."""
    match node:
        case SqlNode(body=body):
            return body
        case (
            HttpNode(request=SqlBody() as body)
            | BreakNode(value=SqlBody() as body)
            | MapNode(items=SqlBody() as body)
            | SleepNode(duration=SqlBody() as body)
            | UntilNode(at=SqlBody() as body)
            | CallNode(input=SqlBody() as body)
            | InstanceNode(instance=SqlBody() as body)
        ):
            return body
        case _:
            return None


def parameters_of(node: Node) -> tuple[Parameter, ...]:
    """The references of a node."""
    body = body_of(node)
    if body is not None:
        return body.parameters
    match node:
        case ValueNode(parameter=parameter) | MapNode(items=Parameter() as parameter):
            return (parameter,)
        case _:
            return ()


def refers_to_columns(plan: Plan) -> bool:
    """Whether a reference of the plan names a column."""
    return any(
        parameter.column is not None and parameter.use is Use.VALUE
        for node in every_node(plan.nodes)
        for parameter in parameters_of(node)
    )


def flow(plan: Plan, describer: Describer, made: Made | None = None) -> Flow:
    """Ask the describer about every statement of a plan.

    `made` are the objects that statements around the plan make; those of the plan itself, when it is None.
    """
    made = Made(steps=statements_of(plan)) if made is None else made
    first = _Walk(describer, made, {}, absent=NULL)
    first.blocks(plan)
    if not first.carried:
        return Flow(first.shapes, tuple(first.problems))
    before: dict[str, Shape] = {}
    for _ in range(PASSES_MAX):
        walk = _Walk(describer, made, before)
        walk.blocks(plan)
        if all(walk.shapes.get(key) == before.get(key) for key in walk.carried):
            break
        before = walk.shapes
    else:
        walk = _Walk(describer, made, dict.fromkeys(before, UNKNOWN))
        walk.blocks(plan)
    return Flow(walk.shapes, (*walk.problems, *_of_first_round(plan, first.problems, walk.problems)))


def _of_first_round(plan: Plan, first: Sequence[Problem], later: Sequence[Problem]) -> Iterator[Problem]:
    """What is wrong in the first round of a loop alone. What is chosen may not run then."""
    known = {(each.node, each.start) for each in later}
    nesting = nest(plan)
    for problem in first:
        chosen = any(level.role in _CHOSEN for _, level in nesting.outwards(nesting.places[problem.node]))
        if problem.severity == "error" and not chosen and (problem.node, problem.start) not in known:
            yield replace(problem, notes=(*problem.notes, _FIRST_ROUND))


@dataclass(frozen=True, slots=True)
class _Step:
    """What is to be done: look at a node, or with `closing` at what its blocks have given.

    `within` is the transaction that the node is a part of.
    """

    node: Node
    database: str | None
    settings: tuple[tuple[str, str], ...]
    closing: bool = False
    within: str | None = None


class _Walk:
    """One pass. `carried` are the sources that a reference wanted before they had been looked at.

    `absent` is what they are where `before` does not say.
    """

    def __init__(
        self, describer: Describer, made: Made, before: Mapping[str, Shape], absent: Shape = UNKNOWN
    ) -> None:
        self._absent = absent
        self._describer = describer
        self._made = made
        self._before = before
        self._breaks: dict[str, list[Shape]] = {}
        self._plan: Plan | None = None
        self._settled = Settled(())
        self.shapes: dict[str, Shape] = {INPUT: ANY_JSON}
        self.problems: list[Problem] = []
        self.carried: set[str] = set()

    def blocks(self, plan: Plan) -> None:
        """Look at every node, the parts of one before it is closed. Nesting costs no stack."""
        self._plan = plan
        self._settled = Settled(self._made.texts)
        todo = [_Step(node, None, ()) for node in reversed(plan.nodes)]
        while todo:
            step = todo.pop()
            node = step.node
            if step.closing:
                self.shapes[node.id] = self._closed(node)
                continue
            inner = blocks_of(node)
            if not inner:
                self.shapes[node.id] = self._leaf(node, step)
                continue
            self._opened(node, step)
            todo.append(replace(step, closing=True))
            around = step
            if isinstance(node, AtomicNode):
                around = replace(
                    step, database=node.policy.database, settings=node.policy.settings, within=node.id
                )
            for _, block in reversed(inner):
                todo += [replace(around, node=each) for each in reversed(block.nodes)]

    # Nodes without parts

    def _leaf(self, node: Node, step: _Step) -> Shape:
        match node:
            case SqlNode():
                policy = node.policy
                around = replace(
                    step,
                    database=policy.database or step.database,
                    settings=(*step.settings, *policy.settings),
                )
                found = self._described(node.id, node.body, around)
                if around.database is None and not around.settings:
                    self._settled.see(node.body, step.within)
                return found
            case ValueNode():
                self._check(node.id, node.parameter)
                return self._value(node.parameter)
            case JoinNode():
                return Array(tuple([self.shapes.get(id, UNKNOWN) for id in node.after]))
            case ConstantNode(value=text):
                return constant(text)
            case BreakNode():
                self._asked(node, step)
                value = ANY_JSON if isinstance(node.value, SqlBody) else constant(node.value)
                self._breaks.setdefault(node.loop, []).append(value)
                return given.NULL
            case HttpNode():
                self._asked(node, step)
                return Array((RESPONSE,)) if node.many else RESPONSE
            case _:
                self._asked(node, step)
                return waited(node)

    def _asked(self, node: Node, step: _Step) -> None:
        """Look at the statement that computes what a node does."""
        body = body_of(node)
        if body is not None:
            self._described(node.id, body, step)

    def _value(self, parameter: Parameter) -> Shape:
        """A lone reference: one value."""
        shape = self._source(parameter)
        if parameter.use is not Use.VALUE:
            return Json(type=type_of(parameter, shape))
        if parameter.column is None and all(not isinstance(each, Rows) for each in alternatives(shape)):
            return shape
        type = type_of(parameter, shape)
        return Json(type=type if parameter.column is not None else json_type(type))

    # Nodes with parts

    def _opened(self, node: Node, step: _Step) -> None:
        match node:
            case MapNode():
                self.shapes[item_source(node.id)] = self._item(node, step)
            case TryNode():
                self.shapes[error_source(node.id)] = ERROR
            case _:
                pass

    def _item(self, node: MapNode, step: _Step) -> Shape:
        """One row of the items of a map, or a batch of them."""
        if isinstance(node.items, SqlBody):
            items = self._described(node.id, node.items, step)
        else:
            self._check(node.id, node.items)
            items = self._source(node.items)
            if node.items.column is not None:
                return UNKNOWN
        if not isinstance(items, Rows):
            return UNKNOWN
        return items if node.batch_size == 1 else Batch(items.columns)

    def _closed(self, node: Node) -> Shape:
        """What a node with parts gives."""
        match node:
            case IfNode():
                other = given.NULL if node.otherwise is None else self._result(node.otherwise)
                return either((self._result(node.then), other))
            case LoopNode():
                ends = self._breaks.pop(node.id, [])
                if node.condition is not None or node.every is not None or not ends:
                    ends = [self._result(node.body), *ends]
                return either(ends)
            case ArmsNode(mode=ArmsMode.RACE):
                return either(map(self._result, node.arms))
            case ArmsNode():
                return Array(tuple(map(self._result, node.arms)))
            case MapNode():
                return Items(self._result(node.body))
            case TimeoutNode(otherwise=Block() as other):
                return either((self._result(node.body), self._result(other)))
            case TryNode():
                return either((self._result(node.body), self._result(node.catch)))
            case AtomicNode() | RetryNode() | TimeoutNode() | CompensateNode():
                return self._result(node.body)
            case _:
                return UNKNOWN

    def _result(self, block: Block) -> Shape:
        return self.shapes.get(block.result, UNKNOWN)

    # Statements

    def _described(self, node: str, body: SqlBody, step: _Step) -> Shape:
        for parameter in body.parameters:
            self._check(node, parameter)
        made, certain = self._settled.named_in(body.sql, step.within)
        statement = Statement(
            node=node,
            body=body,
            sources={parameter.key: self._source(parameter) for parameter in body.parameters},
            database=step.database,
            settings=step.settings,
            made=made,
        )
        plain = self._describer.describe(statement)
        answer, case = in_each_case(statement, self._describer, plain)
        problem = problem_of(node, body.sql, answer, self._made, certain)
        if problem is not None and case:
            note = (f"so it is where that is of type `{case}`, as one of the results may be", None)
            problem = replace(problem, severity="warning", notes=(*problem.notes, note))
            answer = plain
        if problem is not None:
            self.problems.append(self._with_types(problem, body))
        if isinstance(answer, Described):
            return answer.shape
        if isinstance(answer, Unsaid) and not isinstance(answer.shape, Unknown):
            return answer.shape
        if isinstance(answer, Refused) and isinstance(self._before.get(node), Rows):
            # It was in order with less known of its references: its columns were those.
            return self._before[node]
        if body.returns is Returns.ROWS:
            return Rows(None)
        return UNKNOWN if body.kind == "call" else Count()

    def _with_types(self, problem: Problem, body: SqlBody) -> Problem:
        """Where types do not fit: those of the references, which come from other steps."""
        if problem.code != given.WRONG_TYPES:
            return problem
        notes: dict[tuple[str, str | None], None] = dict.fromkeys(problem.notes)
        for parameter in body.parameters:
            type = type_of(parameter, self._source(parameter))
            if type is not None and parameter.use is Use.VALUE:
                written = body.sql[parameter.start : parameter.end]
                giver = parameter.source if parameter.source in self.shapes else None
                notes[(f"`{written}` is of type `{type}`", giver)] = None
        return replace(problem, notes=tuple(notes)[:NOTES_MAX])

    # References

    def _source(self, parameter: Parameter) -> Shape:
        """What a reference stands for: the result of one node, or of one of several."""
        return either([self._shape(id) for id in (parameter.source, *parameter.otherwise)])

    def _shape(self, id: str) -> Shape:
        found = self.shapes.get(id)
        if found is not None:
            return found
        # A step that stands behind the reference: its result is that of the round before.
        self.carried.add(id)
        return self._before.get(id, self._absent)

    def _check(self, node: str, parameter: Parameter) -> None:
        """Whether what a reference names is there (DF406)."""
        if parameter.column is None or parameter.use is not Use.VALUE or parameter.type is not None:
            return
        shape = self._source(parameter)
        likely = [each for each in alternatives(shape) if not _is_excused(each, parameter)]
        found = field_of(either(likely), parameter.column) if likely else Found(None)
        if isinstance(found, Found):
            return
        one = not parameter.otherwise and not parameter.source.endswith(("[]", "!"))
        written = f"${parameter.name}.{parameter.column}"
        giver = self._misspelt(parameter, found) if one and found.certain else None
        if giver is not None:
            wrong, start, end = giver
            problem = Problem(
                code=NO_SUCH_RESULT,
                severity="error",
                node=parameter.source,
                start=start,
                end=end,
                message=f"`{parameter.name}` returns `{wrong}`, and `{parameter.column}` is wanted of it",
                label="written so here alone",
                help=f"did you mean `{parameter.column}`?",
                notes=((f"`{written}` is wanted here", node),),
            )
            if not any(each.node == problem.node and each.start == start for each in self.problems):
                self.problems.append(problem)
            return
        if found.certain:
            message = f"`{parameter.name}` returns no column `{parameter.column}`"
        else:
            message = f"`{parameter.name}` does not return a column `{parameter.column}` in every case"
        self.problems.append(
            Problem(
                code=NO_SUCH_RESULT,
                severity="error" if found.certain else "warning",
                node=node,
                start=parameter.start,
                end=parameter.end,
                message=message,
                label="no such column" if found.certain else "not always there",
                help=_instead(parameter, found, written),
                notes=((_columns_are(found.names), parameter.source),) if one else (),
            )
        )

    def _misspelt(self, parameter: Parameter, found: Absent) -> tuple[str, int, int] | None:
        """The column that the producing statement calls otherwise, where all others speak for the reference.

        The name that is wanted stands elsewhere in the workflow, too, and the one that is given nowhere else.
        """
        assert parameter.column is not None and self._plan is not None
        wanted = parameter.column
        near = get_close_matches(wanted, found.names, n=1, cutoff=_SIMILARITY_MIN)
        bodies = [(node.id, body.sql) for node in every_node(self._plan.nodes) if (body := body_of(node))]
        if not near or near[0] == wanted:
            return None
        places = [
            (id, word.start(), word.end())
            for id, sql in bodies
            for word in _WORD.finditer(sql)
            if word[0] == near[0]
        ]
        count = sum(word == wanted for _, sql in bodies for word in _WORD.findall(sql))
        if len(places) != 1 or places[0][0] != parameter.source or count < 2:
            return None
        return near[0], places[0][1], places[0][2]


def _is_excused(shape: Shape, parameter: Parameter) -> bool:
    """Whether a shape is no reason to complain: the null of a branch that was not taken, and, with a
    question mark, JSON without the field."""
    return shape == given.NULL or (parameter.optional and isinstance(shape, Json))


def _instead(parameter: Parameter, found: Absent, written: str) -> str:
    assert parameter.column is not None
    names = [name for name in found.names if _NAME.fullmatch(name)]
    near = get_close_matches(parameter.column, names, n=1, cutoff=_SIMILARITY_MIN)
    if near and near[0] != parameter.column:
        return f"did you mean `${parameter.name}.{near[0]}`?"
    if not found.certain:
        return f"let every branch return `{parameter.column}`"
    if names:
        return f"write one of {', '.join(f'`${parameter.name}.{name}`' for name in names[:8])}"
    if found.names:
        return f"name the column of the step: `... AS {parameter.column}`"
    return f"let the step return `{parameter.column}` (RETURNING)"


def _columns_are(names: Sequence[str]) -> str:
    if not names:
        return "the step that gives it returns no columns"
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"its columns are {', '.join(f'`{name}`' for name in names[:12])}{more}"
