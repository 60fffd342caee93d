"""A reference that stands for one of several results, whose types differ: the statement with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dfc.compiler.plan_describe import (
    NULL,
    Answer,
    Described,
    Describer,
    Refused,
    Rows,
    Shape,
    Statement,
    alternatives,
    either,
    type_of,
)
from dfc.compiler.plan_statement import Use

CASES_MAX: Final = 8
"""So many types of one reference are tried."""


def in_each_case(statement: Statement, describer: Describer, answer: Answer) -> tuple[Answer, str]:
    """What a describer says in all cases; and of a refusal in some of them only, the type that it is about.

    `answer` is what it says without knowing the type. Nothing is tried where several references are such, or
    not all of their types are known.
    """
    cases = _cases(statement)
    if isinstance(answer, Refused) or not 1 < len(cases) <= CASES_MAX:
        return answer, ""
    answers = {
        type: describer.describe(replace(statement, sources=sources)) for type, sources in cases.items()
    }
    refused = {type: each for type, each in answers.items() if isinstance(each, Refused)}
    if len(refused) == len(answers):
        return next(iter(refused.values())), ""
    if refused:
        type, first = next(iter(refused.items()))
        return first, type
    described = [each.shape for each in answers.values() if isinstance(each, Described)]
    plain = len(described) == len(answers) and all(isinstance(shape, Rows) for shape in described)
    return (Described(either(described)) if plain else answer), ""


def _cases(statement: Statement) -> Mapping[str, Mapping[str, Shape]]:
    """What the references of a statement stand for, by the type of the one that has several."""
    found: dict[str, Mapping[str, Shape]] = {}
    mixed = ""
    for parameter in statement.body.parameters:
        if parameter.use is not Use.VALUE or parameter.type is not None:
            continue
        shapes = [each for each in alternatives(statement.sources[parameter.key]) if each != NULL]
        types = [type_of(parameter, each) for each in shapes]
        if len(set(types)) < 2:
            continue
        if None in types or mixed not in ("", parameter.key):
            return {}
        mixed = parameter.key
        for type, shape in zip(types, shapes, strict=True):
            found.setdefault(str(type), {**statement.sources, parameter.key: shape})
    return found
