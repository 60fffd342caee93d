"""Cases as text: what `--shrink` prints and `--case` reads."""

from __future__ import annotations

import json
from typing import Any

from dfc.compiler.plan_json import from_json, to_json
from tests.simulate.plans import Made
from tests.simulate.run import Case


def written_case(case: Case, seed: int) -> str:
    """A case and the seed with which it fails, in one line."""
    plans = [_written(made) for made in case.plans]
    workflows = {name: _written(made) for name, made in case.workflows.items()}
    fields = {"faults": case.faults, "badness": case.badness, "slowness": case.slowness}
    return json.dumps({"seed": seed, "plans": plans, "workflows": workflows, **fields})


def read_case(text: str) -> tuple[Case, int]:
    """What `written_case` has written."""
    fields: dict[str, Any] = json.loads(text)
    case = Case(
        plans=tuple(_read(made) for made in fields["plans"]),
        workflows={name: _read(made) for name, made in fields["workflows"].items()},
        badness=fields["badness"],
        slowness=fields["slowness"],
        faults=fields["faults"],
    )
    return case, fields["seed"]


def _written(made: Made) -> dict[str, Any]:
    return {"plan": to_json(made.plan), "forced": made.forced, "doomed": sorted(made.doomed)}


def _read(made: dict[str, Any]) -> Made:
    return Made(
        plan=from_json(made["plan"]),
        forced={step: (loop, value) for step, (loop, value) in made["forced"].items()},
        doomed=frozenset(made["doomed"]),
    )
