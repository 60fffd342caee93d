"""The compiler as the list of its passes. Both doors end in `compile_workflow`."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Final

from dfc.compiler import wire
from dfc.compiler.ast import (
    Break,
    CallWorkflow,
    Expression,
    Hole,
    Http,
    Map,
    Piece,
    Ref,
    ServerStatement,
    Sleep,
    Sql,
    Statement,
    Submitting,
    Text,
    WaitInstance,
    WaitUntil,
    Workflow,
)
from dfc.compiler.check import LAST_RULES, RULES, SIZE_RULES, check
from dfc.compiler.described import diagnostics
from dfc.compiler.diagnostics import Diagnostic, Severity, has_errors, note
from dfc.compiler.facts import NO_SURROUNDINGS, Definition, Facts, Surroundings
from dfc.compiler.grouping import Mixed
from dfc.compiler.lower import lower
from dfc.compiler.names import refers
from dfc.compiler.node_ids import node_ids
from dfc.compiler.outline import Outline, outline
from dfc.compiler.params import Params
from dfc.compiler.parse import (
    PROBLEMS_MAX,
    parse_expression,
    parsed_statements,
    rest_not_shown,
    server_texts,
)
from dfc.compiler.plan import Plan, every_node
from dfc.compiler.plan_types import body_of, flow, refers_to_columns
from dfc.compiler.policies import policing
from dfc.compiler.printer import HOLE, print_expression
from dfc.compiler.scope import NO_SCOPE, known_names, resolve
from dfc.compiler.silence import not_too_many, without_silenced
from dfc.compiler.source import Source
from dfc.compiler.span import Span
from dfc.compiler.sql.analysis import Analysis, analyse, literals_of
from dfc.compiler.sql.references import Reference, reference_at
from dfc.compiler.sql.written import Written
from dfc.compiler.templates import (
    input_statement,
    request_statement,
    value_statement,
    wait_statement,
    with_requests_texts,
)
from dfc.compiler.variables import (
    NO_VARIABLES,
    OPAQUE,
    Variables,
    may_make,
    spliced,
    template_texts,
    uncertain_places,
    without,
)

SQL_DOOR = "df.start"
AT_ONCE_STATEMENTS_MAX: Final = 2_000
"""So many statements of a file are parsed before the first one is compiled."""
_SETS_VARIABLE = re.compile(r"\bdf\.setvar\s*\(\s*'([A-Za-z_][A-Za-z0-9_]*)'", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a node stands in the source, and where each run of its SQL does (offsets in the node's SQL)."""

    span: Span
    sql: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """One workflow: its plan, or the problems that keep it from having one. Spans refer to `source`.

    `draft`: the plan that it would have, had its steps the columns that are referred to (DF406); that of a
    template is without the statements that variables decide on.
    """

    source: Source
    problems: tuple[Diagnostic, ...]
    plan: Plan | None = None
    draft: Plan | None = None
    provenance: Mapping[str, Origin] = field(default_factory=dict[str, Origin])


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledStatement:
    """A workflow of a file, compiled. `wire` is the text of its expression, None where it has errors.

    A template has `wire` and no plan: variables decide what it says, so that it is compiled when it starts.
    `on_failure` is what its definition starts when it fails.
    """

    statement: Workflow
    compiled: Compiled
    wire: str | None
    on_failure: OnFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFailure:
    """The workflow of an `on_failure`, compiled; `wire` is the text of its expression, None with errors."""

    compiled: Compiled
    wire: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledFile:
    """A file: its statements in order, and the problems of all of them in the order of the source."""

    source: Source
    statements: tuple[CompiledStatement | ServerStatement, ...]
    problems: tuple[Diagnostic, ...]


def compile_file(source: Source, schema: tuple[str, ...] = ()) -> CompiledFile:
    """Compile every workflow of a file. Problems are in the result; nothing is raised for bad input.

    `schema` are the texts of files with DDL, as far as it is known.
    """
    statements: list[CompiledStatement | ServerStatement] = []
    problems: list[Diagnostic] = []
    spans: list[Span] = []
    errors = 0
    parsed, beside = _parsed(source, problems)
    beside = replace(beside, schema=schema)
    for statement in parsed:
        spans.append(statement.span)
        if isinstance(statement, ServerStatement):
            statements.append(statement)
            continue
        compiled, ready = _compiled(statement.body, statement, source, beside)
        later: OnFailure | None = None
        if statement.on_failure is not None:
            other, ready_too = _compiled(
                statement.on_failure, replace(statement, params=None, mixed=()), source, beside
            )
            ready = ready and ready_too
            problems += other.problems
            later = OnFailure(compiled=other, wire=wire.write(statement.on_failure) if ready_too else None)
        text = wire.write(statement.body, statement.params) if ready else None
        statements.append(
            CompiledStatement(statement=statement, compiled=compiled, wire=text, on_failure=later)
        )
        problems += compiled.problems
        errors += not ready
        if errors >= PROBLEMS_MAX:
            problems.append(rest_not_shown(statement.span.end))
            break
    problems.sort(key=lambda problem: problem.span.start)
    heard = not_too_many(without_silenced(source.text, spans, problems))
    return CompiledFile(source=source, statements=tuple(statements), problems=heard)


def _parsed(source: Source, problems: list[Diagnostic]) -> tuple[Iterable[Statement], Surroundings]:
    """The statements of a file, and what it says beside its workflows.

    Where there are many they are parsed one by one: behind a thousand faulty ones nobody wants them any more.
    """
    parsed = parsed_statements(source, problems)
    statements = list(islice(parsed, AT_ONCE_STATEMENTS_MAX))
    if len(statements) == AT_ONCE_STATEMENTS_MAX:
        return chain(statements, parsed), _surroundings(list(server_texts(source.text)))
    beside = _surroundings([each.text for each in statements if isinstance(each, ServerStatement)])
    defined = [each for each in statements if isinstance(each, Workflow) and each.kind is Submitting.DEFINE]
    return statements, replace(
        beside,
        definitions=tuple(
            [
                Definition(name=each.label, body=each.body, params=each.params)
                for each in defined
                if each.label is not None
            ]
        ),
    )


def _surroundings(scripts: Sequence[str]) -> Surroundings:
    variables = {name for text in scripts for name in _SETS_VARIABLE.findall(text)}
    return Surroundings(scripts=tuple(scripts), variables=frozenset(variables))


def _compiled(
    tree: Expression, statement: Workflow, source: Source, beside: Surroundings
) -> tuple[Compiled, bool]:
    """A workflow of a statement; whether it can be submitted: it has a plan, or variables decide on it."""
    compiled = compile_workflow(
        tree,
        source,
        statement.mixed,
        faulty=statement.faulty,
        params=statement.params,
        beside=replace(beside, limited=any(name == "timeout" for name, _ in statement.options)),
    )
    if compiled.plan is not None:
        return compiled, True
    compiled, deferred = _without_deferred(tree, compiled)
    is_template = bool(deferred) and not has_errors(compiled.problems)
    if is_template and not statement.faulty:
        compiled = _drafted(tree, compiled, deferred, statement.params, beside)
    return compiled, is_template and not statement.faulty


def _drafted(
    tree: Expression,
    compiled: Compiled,
    deferred: frozenset[Span],
    params: Params | None,
    beside: Surroundings,
) -> Compiled:
    """A template with the plan that it has without the statements that variables decide on (`deferred`).

    It is for those who look more deeply into the others. Nodes that are left out have no place. Where one of
    them may make what the others use there is none.
    """
    if any(text.span in deferred and may_make(text.value) for text in template_texts(tree)):
        return compiled
    draft = compile_workflow(without(tree, deferred), compiled.source, params=params, beside=beside)
    plan = draft.plan or draft.draft
    if plan is None:
        return compiled
    bodies = {node.id: body_of(node) for node in every_node(plan.nodes)}
    unknown = {id for id, body in bodies.items() if body is not None and body.sql == OPAQUE}
    kept = {node: origin for node, origin in draft.provenance.items() if node not in unknown}
    return replace(compiled, draft=plan, provenance=kept)


def _without_deferred(tree: Expression, compiled: Compiled) -> tuple[Compiled, frozenset[Span]]:
    """Notes (DF211) in place of the errors that a `{name}` may mend; and the texts that these are in.

    Only the variables of whoever starts the workflow can tell whether they are errors.
    """
    places = [(at, text.span) for text, parts in uncertain_places(tree) for at in parts]
    places.sort(key=lambda place: place[0].start)
    problems: list[Diagnostic] = []
    deferred: set[Span] = set()
    for problem in compiled.problems:
        inside = _around(problem.span.start, places)
        if problem.severity is Severity.ERROR and inside:
            deferred.add(inside[0])
        else:
            problems.append(problem)
    for place in deferred:
        said = "not analysed: what this says depends on the variables of whoever starts the workflow"
        problems.append(note("DF211", said, place, help="set them with `SELECT df.setvar(...)` before it"))
    problems.sort(key=lambda problem: problem.span.start)
    return replace(compiled, problems=tuple(problems)), frozenset(deferred)


def _around(offset: int, places: list[tuple[Span, Span]]) -> list[Span]:
    """What belongs to the places (in order) around an offset; a request has up to four, one in another."""
    index = bisect_right(places, offset, key=lambda place: place[0].start)
    near = places[max(0, index - 4) : index]
    return [whole for at, whole in near if offset < max(at.end, at.start + 1)]


def compile_wire(text: str, variables: Variables = NO_VARIABLES) -> Compiled:
    """Compile what the SQL door stored, with the values that the variables in it had when it was started.

    Spans refer to the expression as the printer writes it, with these values in it.
    """
    read = wire.read(text)
    tree = read.tree or read.draft
    if tree is None:
        return Compiled(source=Source(SQL_DOOR, text), problems=read.problems)
    tree = spliced(tree, variables)
    source = Source(SQL_DOOR, print_expression(tree))
    parsed = parse_expression(source)
    problems = _placed(parsed.problems, read.faults, source)
    if read.problems and not has_errors(problems):
        problems = [*read.problems, *problems]
    if parsed.draft is None:
        return Compiled(source=source, problems=tuple(problems))
    faulty = has_errors(problems)
    compiled = compile_workflow(parsed.draft, source, faulty=faulty, params=read.params)
    problems += compiled.problems
    problems.sort(key=lambda problem: problem.span.start)
    return replace(compiled, problems=tuple(problems))


def _placed(problems: Sequence[Diagnostic], faults: Sequence[Diagnostic], source: Source) -> list[Diagnostic]:
    """The problems of a printed draft. Where a hole is printed, the fault that made it is the problem."""
    left = iter(faults)
    found: list[Diagnostic] = []
    for problem in problems:
        is_hole = source.text[problem.span.start : problem.span.end] == HOLE
        fault = next(left, None) if is_hole else None
        found.append(problem if fault is None else replace(fault, span=problem.span))
    return found


def compile_workflow(
    tree: Expression,
    source: Source,
    mixed: tuple[Mixed, ...] = (),
    *,
    faulty: bool = False,
    params: Params | None = None,
    beside: Surroundings = NO_SURROUNDINGS,
) -> Compiled:
    """Compile one expression: lay it out, analyse its statements, resolve names, check, lower.

    `faulty`: it has problems that were reported before; it is checked, and not lowered. Neither is one with
    a hole. `params` are the inputs that its definition declares.
    """
    flat = outline(tree)
    oversize = check(Facts(outline=flat, scope=NO_SCOPE, analyses={}), SIZE_RULES)
    if has_errors(oversize):
        return Compiled(source=source, problems=tuple(oversize))
    known = known_names(flat)
    analyses = _analyse(flat, known.__contains__)
    facts = Facts(
        outline=flat,
        scope=resolve(flat, _references(flat, analyses, known)),
        analyses=analyses,
        policies=policing(flat),
        mixed=mixed,
        params=None if params is None else params.types,
        beside=beside,
    )
    problems = [problem for analysis in analyses.values() for problem in analysis.problems]
    problems += check(facts, RULES)
    faulty = faulty or any(isinstance(unit.tree, Hole) for unit in flat.units) or has_errors(problems)
    if not faulty:
        problems += check(facts, LAST_RULES)
    problems.sort(key=lambda problem: problem.span.start)
    if faulty:
        return Compiled(source=source, problems=tuple(problems))
    plan = lower(facts)
    origins = _origins(facts)
    if refers_to_columns(plan):
        problems += diagnostics(flow(plan, Written()).problems, origins)
        problems.sort(key=lambda problem: problem.span.start)
        if has_errors(problems):
            return Compiled(source=source, problems=tuple(problems), draft=plan, provenance=origins)
    return Compiled(source=source, problems=tuple(problems), plan=plan, provenance=origins)


def _analyse(flat: Outline, known: Callable[[str], bool]) -> dict[int, Analysis]:
    """The analysis of each unit that has a statement, its author's or one that the compiler writes."""
    found: dict[int, Analysis] = {}
    for index, unit in enumerate(flat.units):
        text: Text | None = None
        match unit.tree:
            case Sql(query=query):
                found[index] = _analysis(query, known)
            case Map(items=Sql(query=query)):
                text = query
            case Http():
                text = request_statement(unit.tree, known)
            case Break(value=Text() as value):
                text = value_statement(value, known)
            case Sleep(duration=Text() as value):
                text = wait_statement("df._sleep_length", value)
            case WaitUntil(at=value) if refers(value.value):
                text = wait_statement("df._moment", value)
            case WaitInstance(instance=value) if refers(value.value):
                text = wait_statement("df._instance_of", value)
            case CallWorkflow(input=str() as written):
                text = input_statement(written, unit.tree.span, known)
            case _:
                pass
        if text is not None:
            found[index] = analyse(text)
    return found


def _analysis(text: Text, known: Callable[[str], bool]) -> Analysis:
    """The analysis of a step's statement; of one that computes a request, with its texts computed too."""
    analysis = analyse(text)
    if analysis.http is not None and any(reference.literal for reference in analysis.references):
        written = with_requests_texts(analysis.text, known)
        return analysis if written is None else analyse(written)
    return analysis


def _references(
    flat: Outline, analyses: Mapping[int, Analysis], known: frozenset[str]
) -> dict[int, tuple[Reference, ...]]:
    """The references of each unit: those of its statement, or the one that stands alone."""
    found = {unit: literals_of(analysis, known)[0] for unit, analysis in analyses.items()}
    for index, unit in enumerate(flat.units):
        match unit.tree:
            case Ref(text=text) | Map(items=Ref(text=text)):
                found[index] = (reference_at(text.value, 0, len(text.value)),)
            case _:
                pass
    return found


def _origins(facts: Facts) -> dict[str, Origin]:
    origins: dict[str, Origin] = {}
    for unit, name in enumerate(node_ids(facts)):
        tree = facts.outline.units[unit].tree
        analysis = facts.analyses.get(unit)
        pieces = analysis.text.pieces if analysis is not None else ()
        origins[name] = Origin(span=tree.span, sql=pieces)
    return origins
