"""Trees by hand, compiled without a parser."""

from __future__ import annotations

from dfc.compiler.ast import (
    NO_POLICIES,
    Atomic,
    Bind,
    Break,
    Chain,
    Compensate,
    Expression,
    FanOut,
    Http,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Policies,
    Race,
    Ref,
    Retry,
    Sql,
    Step,
    Text,
    Timeout,
    Try,
)
from dfc.compiler.driver import Compiled, compile_workflow
from dfc.compiler.names import is_reference
from dfc.compiler.plan import Duration
from dfc.compiler.source import Source


def text(value: str) -> Text:
    return Text(value=value)


def policies(**given: int | bool | str | Duration | tuple[str, ...]) -> Policies:
    return Policies(given=tuple(given.items())) if given else NO_POLICIES


def sql(query: str, **given: int | bool | str | Duration | tuple[str, ...]) -> Sql:
    return Sql(query=text(query), policies=policies(**given))


def ref(written: str) -> Ref:
    return Ref(text=text(written))


def step(name: str, body: Expression | str, **given: int | bool | str | Duration | tuple[str, ...]) -> Step:
    return Step(name=text(name), body=_expression(body), policies=policies(**given))


def bind(name: str, body: Expression | str) -> Bind:
    return Bind(name=text(name), body=_expression(body))


def chain(*items: Expression | str) -> Chain:
    return Chain(items=tuple([_expression(item) for item in items]))


def join(*branches: Expression | str) -> Join:
    return Join(branches=tuple([_expression(branch) for branch in branches]))


def fan_out(*branches: Expression | str) -> FanOut:
    return FanOut(branches=tuple([_expression(branch) for branch in branches]))


def http(url: str = "http://127.0.0.1/", headers: str | None = None, body: str | None = None) -> Http:
    return Http(
        url=text(url),
        method="POST",
        body=None if body is None else text(body),
        headers=headers,
        timeout_seconds=30,
    )


def cancelling(*branches: Expression | str) -> Join:
    return Join(branches=tuple([_expression(branch) for branch in branches]), cancels=True)


def race(*arms: Expression | str) -> Race:
    return Race(arms=tuple([_expression(arm) for arm in arms]))


def choose(
    condition: Expression | str, then: Expression | str, otherwise: Expression | str | None = None
) -> If:
    return If(condition=_expression(condition), then=_expression(then), otherwise=_optional(otherwise))


def if_rows(name: str, then: Expression | str, otherwise: Expression | str | None = None) -> IfRows:
    return IfRows(name=text(name), then=_expression(then), otherwise=_optional(otherwise))


def loop(body: Expression | str, condition: Expression | str | None = None) -> Loop:
    return Loop(body=_expression(body), condition=_optional(condition))


def leave(value: str | None = None) -> Break:
    return Break(value=None if value is None else text(value))


def each(items: Expression | str, body: Expression | str, name: str = "item", batch: int = 1) -> Map:
    return Map(items=_expression(items), body=_expression(body), name=text(name), batch_size=batch)


def atomic(body: Expression | str, **given: int | bool | str | Duration | tuple[str, ...]) -> Atomic:
    return Atomic(body=_expression(body), policies=policies(**given))


def retry(body: Expression | str, attempts: int = 3) -> Retry:
    return Retry(body=_expression(body), policies=policies(max_attempts=attempts))


def limited(body: Expression | str, otherwise: Expression | str | None = None) -> Timeout:
    duration = Duration(microseconds=5_000_000)
    return Timeout(body=_expression(body), duration=duration, otherwise=_optional(otherwise))


def attempt(body: Expression | str, catch: Expression | str, final: Expression | str | None = None) -> Try:
    return Try(body=_expression(body), catch=_expression(catch), final=_optional(final))


def undone(body: Expression | str, undo: Expression | str) -> Compensate:
    return Compensate(body=_expression(body), undo=_expression(undo))


def _expression(given: Expression | str) -> Expression:
    """A text is a statement, or the reference that it is."""
    if not isinstance(given, str):
        return given
    return ref(given) if is_reference(given) else sql(given)


def _optional(given: Expression | str | None) -> Expression | None:
    return None if given is None else _expression(given)


def compiled(tree: Expression) -> Compiled:
    return compile_workflow(tree, Source("test", ""))


def codes(tree: Expression) -> list[str]:
    return [problem.code for problem in compiled(tree).problems]
