"""Both doors have the same functions with the same parameters: the compiler's table and schema df."""

from __future__ import annotations

import psycopg
import pytest

from dfc.compiler.signatures import STEPS, SUBMISSIONS

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
        if signature.array and names[:1] == ["branches"]:
            assert names == [p.name for p in signature.array]
            continue
        assert names == wanted[: len(names)], "another name, or another place"
        assert len(names) >= least
        if name != "http_multipart":  # `parts` stands behind `method`, which has a default
            assert len(names) - defaults == least, "another number of required parameters"
    given = [names for names, _, variadic in overloads[name] if not variadic]
    if name in STEPS and name != "parallel":
        assert wanted in given, "a parameter is missing in the SQL door"
    if signature.array:
        assert [p.name for p in signature.array] in given
    if not signature.variadic:
        assert max(map(len, given)) >= len(signature.parameters)
