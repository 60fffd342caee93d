"""Trees by hand, compiled without a parser. A span is a number: the order in which its text was made."""

from __future__ import annotations

from dfc.compiler.ast import Bind, Chain, Expression, FanOut, Http, Join, Sql, Step, Text
from dfc.compiler.driver import Compiled, compile_workflow
from dfc.compiler.source import Source


def text(value: str) -> Text:
    return Text(value=value)


def sql(query: str) -> Sql:
    return Sql(query=text(query))


def step(name: str, body: Expression | str) -> Step:
    return Step(name=text(name), body=_expression(body))


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


def _expression(given: Expression | str) -> Expression:
    return sql(given) if isinstance(given, str) else given


def compiled(tree: Expression) -> Compiled:
    return compile_workflow(tree, Source("test", ""))


def codes(tree: Expression) -> list[str]:
    return [problem.code for problem in compiled(tree).problems]
