"""Both doors have the same functions with the same parameters: the compiler's table and schema df."""

from __future__ import annotations

import psycopg
import pytest

from dfc.compiler.signatures import STEPS, SUBMISSIONS, Parameter, Want

FUNCTIONS = {**STEPS, **SUBMISSIONS}


@pytest.fixture(scope="module")
def overloads(shared_database: str) -> dict[str, list[tuple[list[str], int, bool]]]:
    """Names of the parameters, how many of them have a default, and whether the last is variadic."""
    query = """
        SELECT proname::text, coalesce(proargnames, '{}')::text[], pronargdefaults::int, provariadic <> 0
        FROM pg_catalog.pg_proc WHERE pronamespace = 'df'::regnamespace
    """
    found: dict[str, list[tuple[list[str], int, bool]]] = {}
    with psycopg.connect(shared_database) as connection:
        for name, names, defaults, variadic in connection.execute(query).fetchall():
            found.setdefault(name, []).append((names, defaults, variadic))
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters(overloads: dict[str, list[tuple[list[str], int, bool]]], name: str) -> None:
    signature = FUNCTIONS[name]
    assert name in overloads, "missing in the SQL door"
    wanted = [p.name for p in (*signature.parameters, *signature.options)]
    least = sum(p.required for p in signature.parameters)
    for names, defaults, variadic in overloads[name]:
        if variadic:
            assert signature.variadic
            continue
        if names[:1] == ["plan"]:
            continue  # df.start of a compiled plan, which the file door does not look into
        if signature.variadic and names[:1] in (["branches"], ["steps"]):
            assert names[1:] == [p.name for p in signature.options]  # of an array
            continue
        assert names == wanted[: len(names)], "another name, or another place"
        assert len(names) >= least
        if name != "http_multipart":  # `parts` stands behind `method`, which has a default
            assert len(names) - defaults == least, "another number of required parameters"
    if not signature.variadic:
        assert max(len(names) for names, _, _ in overloads[name]) >= len(signature.parameters)


LATER = (
    *("sleep", "wait_until", "wait_for_schedule", "wait_for_signal", "wait_for", "call", "wait_for_instance"),
)
"""What does not run yet."""

VALUES = {
    Want.EXPRESSION: "'SELECT 1'",
    Want.TEXT: "'x'",
    Want.NAME: "'x'",
    Want.INTEGER: "1",
    Want.NUMBER: "1.5",
    Want.BOOLEAN: "true",
    Want.JSON: "'{}'",
    Want.LIST: "ARRAY['40']",
    Want.MOMENT: "'2027-01-01'",
    Want.ANY: "true",
}


@pytest.mark.parametrize("name", LATER)
@pytest.mark.parametrize("duration", ["'5 s'", "5", "1.5", "interval '5 s'"])
def test_what_comes_later_says_so_whatever_it_is_given(
    shared_database: str, name: str, duration: str
) -> None:
    def given(parameters: tuple[Parameter, ...]) -> str:
        values = {**VALUES, Want.DURATION: duration}
        return ", ".join(f'"{p.name}" => {values[p.want]}' for p in parameters)

    signature = STEPS[name]
    required = tuple(p for p in signature.parameters if p.required)
    optional = (*(p for p in signature.parameters if not p.required), *signature.options)
    calls = [required, *((*required, each) for each in optional), (*required, *optional)]
    with psycopg.connect(shared_database, autocommit=True) as connection:
        for call in calls:
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                connection.execute(f"SELECT df.{name}({given(call)})".encode())
