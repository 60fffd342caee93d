"""What a compiler process is asked, and what its deaths mean, without a process."""

from __future__ import annotations

import json
import signal

import pytest

from dfc.executor.compiler_child import Allowance, Asking, CompilerUnavailable, Died, Json

REQUEST: Json = {"do": "compile_file", "name": "a", "text": "'SELECT 1'"}
ANSWER: Json = {"statements": []}


def asked(*outcomes: Json | Died) -> tuple[Json, list[Json]]:
    """The answer after these outcomes, and what was sent."""
    asking = Asking(REQUEST, "'SELECT 1'", Allowance())
    sent: list[Json] = []
    for outcome in outcomes:
        assert asking.answer is None
        sent.append(asking.request)
        asking.took(outcome)
    assert asking.answer is not None
    return asking.answer, sent


def test_an_answer() -> None:
    assert asked(ANSWER) == (ANSWER, [REQUEST])


def test_one_death_may_be_somebody_elses_fault() -> None:
    assert asked(Died("signal 9"), ANSWER) == (ANSWER, [REQUEST, REQUEST])


def test_two_deaths_are_the_texts_where_the_compiler_works() -> None:
    answer, sent = asked(Died("signal 9"), Died("signal 11"), {"plan": {}})
    assert sent[:2] == [REQUEST, REQUEST] and sent[2]["do"] == "compile_wire"
    [problem] = answer["diagnostics"]
    assert problem["code"] == "DF590" and "signal 11" in problem["message"]
    assert problem["span"] == [0, len("'SELECT 1'")]
    assert problem["help"].startswith("make the statements of the workflow smaller")


def test_what_took_too_long_is_not_tried_again() -> None:
    for died, name, help in (
        (
            Allowance().death(-signal.SIGXCPU),
            "60 s of processor time (`compile_seconds_max`)",
            "divide the file",
        ),
        (
            Allowance().late(),
            "within 900 s (`compile_clock_seconds_max`)",
            "look whether something has stopped",
        ),
    ):
        answer, sent = asked(died, {"plan": {}})
        assert [each["do"] for each in sent] == ["compile_file", "compile_wire"]
        [problem] = answer["diagnostics"]
        assert name in problem["message"] and problem["help"].startswith(help)


def test_a_longer_text_may_take_longer() -> None:
    assert Allowance(1, 2).of(5) == Allowance(1, 2)
    assert Allowance(1, 2).of(2_500_000) == Allowance(2.5, 5)
    asking = Asking(REQUEST, "x" * 2_000_000, Allowance())
    assert json.loads(asking.line(7)) == {"id": 7, "seconds": 120, **REQUEST}


def test_a_compiler_that_does_not_even_survive_something_small() -> None:
    with pytest.raises(CompilerUnavailable, match=r"does not work \(exit status 1\)"):
        asked(Died("signal 9"), Died("signal 9"), Died("exit status 1"))
