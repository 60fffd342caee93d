"""Watching an instance until it ends: live on a terminal, a line per step otherwise."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rich.live import Live
from rich.text import Text

from dfc.cli import present
from dfc.cli.database import Connection
from dfc.cli.errors import CliError
from dfc.cli.marks import facts, marks
from dfc.cli.present import errors
from dfc.cli.queries import query
from dfc.compiler.plan import Plan
from dfc.compiler.plan_print import plan_text

POLL_SECONDS = 0.05
ENDED = ("completed", "failed", "cancelled", "compensated")
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How an instance stands. `steps` are its checkpoints by path, in the order of their commits."""

    id: str
    status: str
    result: str | None
    error: Mapping[str, Any]
    steps: Mapping[str, Mapping[str, Any]]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED


def progress(conn: Connection, instance: str) -> Progress:
    """Read how an instance stands. Raises CliError when it is gone."""
    row = conn.execute(query("progress"), {"id": instance}).fetchone()
    if row is None:
        raise CliError(f"there is no workflow `{instance}`, or it is not yours")
    status, result, error, steps = row
    return Progress(
        id=instance,
        status=status,
        result=result,
        error=json.loads(error) if error else {},
        steps={str(step["path"]): step for step in present.parsed(steps)},
    )


class Screen(Protocol):
    """Where progress is shown."""

    def show(self, now: Progress) -> None:
        """Show the state; called often, also when nothing has changed."""
        ...


class Quiet:
    """Shows nothing: for `--json`, and where there is no plan to show."""

    def show(self, now: Progress) -> None:
        return None


class Lines:
    """A line for each step when it has ended."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: set[str] = set()

    def show(self, now: Progress) -> None:
        for path, step in now.steps.items():
            if path not in self._seen:
                self._seen.add(path)
                errors.print(Text(f"  {'✗' if step['kind'] == 'failed' else '✓'} {path}{facts(step)}"))


class Drawing:
    """The graph of the plan with what has become of each node, redrawn in place."""

    def __init__(self, plan: Plan, live: Live) -> None:
        self._plan = plan
        self._live = live
        self._frame = 0

    def show(self, now: Progress) -> None:
        self._frame += 1
        spinner = SPINNER[self._frame // 2 % len(SPINNER)]
        is_running = now.status == "running"
        text = plan_text(self._plan, marks(self._plan, now.steps, is_running=is_running, running=spinner))
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)


@contextlib.contextmanager
def screen(plan: Plan | None, *, quiet: bool) -> Generator[Screen]:
    """The screen that suits standard error. Nothing is shown of a workflow whose plan is not known."""
    if quiet or plan is None:
        yield Quiet()
    elif not errors.is_terminal or errors.is_dumb_terminal:
        yield Lines(plan)
    else:
        with Live(console=errors, auto_refresh=False) as live:
            yield Drawing(plan, live)


def follow(
    read: Callable[[], Progress], shown: Screen, watch: Callable[[Progress], None] = lambda now: None
) -> Progress:
    """Show an instance until it ends; `watch` is called at each look, and raises to stop waiting."""
    while True:
        now = read()
        shown.show(now)
        if now.ended:
            return now
        watch(now)
        time.sleep(POLL_SECONDS)
