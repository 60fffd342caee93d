"""What a driver must not do, seen from the ports it uses: checked while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    Delivery,
    HttpNode,
    LoopNode,
    MapNode,
    OnError,
    RetryNode,
    SqlNode,
    TimeoutNode,
)
from dfc.executor.actions import Finish
from dfc.executor.claim import Claim
from dfc.executor.journal import (
    AtomicDone,
    Completed,
    Decided,
    Event,
    Failed,
    ItemEnded,
    Retrying,
)
from dfc.executor.ports import Answer
from tests.simulate import decisions
from tests.simulate.database import Database
from tests.simulate.places import SHELTERED, where
from tests.simulate.rows import Instance
from tests.simulate.shapes import Broken


@dataclass(slots=True)
class Watch:
    """What the driver of one claim has been told, and what it has under way."""

    database: Database
    claim: Claim
    known: set[str] = field(default_factory=set[str])
    decided: dict[str, str] = field(default_factory=dict[str, str])
    ended_items: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    attempts: dict[str, int] = field(default_factory=dict[str, int])
    running: set[str] = field(default_factory=set[str])
    turns: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    told: bool = False
    failed: bool = False

    def __post_init__(self) -> None:
        if self.claim.cancel_reason is not None:
            self.tell()

    @property
    def instance(self) -> Instance:
        return self.database.instances[self.claim.instance]

    def say(self, problem: str) -> Broken:
        return Broken(f"{self.claim.instance}: {problem}")

    # What it is told

    def tell(self) -> None:
        """It knows of the cancel request."""
        self.told = True

    def note(self, events: Iterable[Event]) -> None:
        """It knows of these."""
        for event in events:
            match event:
                case Completed(path=path) | Failed(path=path):
                    self.known.add(path)
                    self.failed = self.failed or isinstance(event, Failed)
                case Decided(path=path, value=value):
                    self.decided.setdefault(path, value)
                case ItemEnded(path=path, item=item):
                    self.ended_items.add((path, item))
                case Retrying(path=path, attempts=attempts):
                    self.attempts[path] = attempts
                case AtomicDone(path=path, records=records):
                    self.known.add(path)
                    self.note(records)
                case _:
                    pass

    def answer(self, answer: Answer) -> Answer:
        """It gets this answer."""
        self.note([answer.event])
        self.note([event for event in (answer.decided, answer.item) if event is not None])
        if answer.cancel_reason is not None:
            self.tell()
        return answer

    # What it does

    def starts(self, path: str, attempt: int) -> None:
        """An attempt of an activation begins."""
        if path in self.known:
            raise self.say(f"`{path}` starts again though the journal shows its record")
        if path in self.running:
            raise self.say(f"`{path}` runs twice in one driver")
        if (reason := self._forbidden(path)) is not None:
            raise self.say(f"`{path}` starts {reason}")
        self._attempt(path, attempt)
        holds = self.instance.token == self.claim.token
        if holds:
            self._rounds(path)
        self.database.note(self.instance, "started", path, number=int(holds))

    def _attempt(self, path: str, attempt: int) -> None:
        if attempt <= self.attempts.get(path, 0):
            raise self.say(f"`{path}` begins attempt {attempt} after {self.attempts[path]} failed ones")
        node = self.instance.places.node(path)
        if not isinstance(node, SqlNode | HttpNode):
            return
        policy = node.policy
        if policy.max_attempts is not None and attempt > policy.max_attempts and policy.retry_on is None:
            raise self.say(f"`{path}` begins attempt {attempt} of {policy.max_attempts}")
        single = policy.delivery is Delivery.AT_MOST_ONCE and not path.endswith("/request")
        if single and self.instance.token == self.claim.token and path not in self.instance.begun:
            raise self.say(f"`{path}` may happen once only, and its beginning is not recorded")

    def _rounds(self, path: str) -> None:
        """What is in a loop or retry begins in the round where that stands."""
        if any(around.part == "undo" for around in self.instance.places.by_id[where(path).node].around):
            # An undo runs in the round that it undoes.
            return
        frame = ""
        for id, number in where(path).frames:
            node = self.instance.places.by_id[id].node
            if isinstance(node, LoopNode | RetryNode):
                row = self.instance.positions.get(f"{frame}{id}/round")
                stands = 1 if row is None else row.round
                if number < stands:
                    raise self.say(f"`{path}` starts while `{frame}{id}` stands at {stands}")
            frame += f"{id}[{number}]/"

    def _forbidden(self, path: str) -> str | None:
        around = self.instance.places.surroundings(path)
        parts = [what.part for what, _, _ in around]
        sheltered = [any(part in SHELTERED for part in parts[at:]) for at in range(len(parts) + 1)]
        if self.told and not sheltered[0]:
            return "after the driver was told of the cancel request"
        for at, (what, of, frame) in enumerate(around):
            if sheltered[at + 1]:
                continue
            text = self.decided.get(f"{of}/decision")
            match what.node:
                case MapNode(id=id):
                    item = where(f"{frame}x").frames[-1]
                    assert item[0] == id
                    if (of, item[1]) in self.ended_items:
                        return f"after the end of item {item[1]} of `{of}`"
                    if what.node.on_error is OnError.FAIL and self._failed(of, frame):
                        return f"after an item of `{of}` had failed"
                case ArmsNode(mode=mode) if text is not None:
                    number = int(what.part.removeprefix("branch "))
                    if decisions.arm(text) != number or mode is ArmsMode.ALL_OR_CANCEL:
                        return f"after `{of}` was decided ({text})"
                case TimeoutNode() if text is not None and what.part == "body" and decisions.timed_out(text):
                    return f"after `{of}` had timed out"
                case LoopNode() if text is not None:
                    return f"after `{of}` was left ({text})"
                case _:
                    pass
        return None

    def should_know(self, path: str) -> None:
        """It has to read the journal now, and would see whether this has a record."""
        if path in self.instance.records:
            self.known.add(path)

    def counts(self, path: str, attempts: int) -> None:
        """It records that so many attempts have failed or were lost."""
        row = self.instance.attempts.get(path)
        before = 0 if row is None else row.attempts + row.losses
        if self.instance.token == self.claim.token and attempts < before:
            raise self.say(f"{attempts} attempts of `{path}` are recorded after {before}")

    def stands(self, path: str, round: int) -> None:
        """It records that a loop or retry stands there."""
        row = self.instance.positions.get(path)
        before = 1 if row is None else row.round
        if self.instance.token == self.claim.token and round < before:
            raise self.say(f"`{path}` goes from {before} to {round}")

    def _failed(self, map: str, frame: str) -> bool:
        """Whether it knows of an item that has failed, and begins another one."""
        items = self.instance.items.get(map)
        if items is None or frame in self.instance.history.begun:
            return False
        return any(path == map and items[number - 1].error is not None for path, number in self.ended_items)

    def finishes(self, finish: Finish) -> None:
        """The driver wants the instance to end."""
        if self.told and finish.status == "completed":
            raise self.say("it ends completed though its driver was told of the cancel request")
        decided = decisions.END in self.decided
        if self.told and finish.status != "cancelled" and not (self.failed or decided):
            raise self.say(f"it ends {finish.status} though its driver was told of the cancel request")
        if self.running:
            raise self.say(f"it ends while {sorted(self.running)} run")
