"""What the core of an instance has asked for and nobody has begun yet, in order, and what of it is held back.

Held back is what would begin something new while the instance is paused, and, of one that is retried, all
that does more than look until its records have been gone through.
"""

from __future__ import annotations

from collections import OrderedDict

from dfc.executor.actions import FetchItems, ReadResult, RecordBeginning, StopCall, key_of
from dfc.executor.perform import Beginning, Work


class Backlog:
    """Actions by path. Its length is the number of those that may be begun."""

    def __init__(self) -> None:
        self.replaying = False
        """The instance is retried, and its records are still gone through."""
        self._paused = False
        self._ready: OrderedDict[str, Work] = OrderedDict()
        self._held: OrderedDict[str, Work] = OrderedDict()
        # The beginnings of these are recorded: they are not held back any more.
        self._begun: set[str] = set()

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def paused(self) -> bool:
        """Whether nothing new is to begin."""
        return self._paused

    def pause(self, paused: bool) -> None:
        """Hold back what would begin something new, or let it go on, behind what is ready by then."""
        self._paused = paused
        for source, target, holds in ((self._ready, self._held, True), (self._held, self._ready, False)):
            for path, action in list(source.items()):
                if self._holds(action) is holds:
                    target[path] = source.pop(path)

    def add(self, action: Work) -> None:
        """The core asks for it."""
        queue = self._held if self._holds(action) else self._ready
        queue[key_of(action)] = action

    def take(self) -> tuple[str, Work]:
        """The first that may be begun, and its path."""
        return self._ready.popitem(last=False)

    def withdraw(self, path: str) -> bool:
        """Whether it was here; then it is not any more."""
        return self._ready.pop(path, None) is not None or self._held.pop(path, None) is not None

    def forget_held(self) -> None:
        """What is held back was asked for by a core that is not asked any more."""
        self._held.clear()

    def performed(self, action: Work) -> None:
        """It has been done. What is recorded to begin goes on, paused or not."""
        if isinstance(action, RecordBeginning):
            self._begun.add(key_of(action))
        else:
            self._begun.discard(key_of(action))

    def _holds(self, action: Work) -> bool:
        if self.replaying:
            return not isinstance(action, ReadResult | FetchItems | StopCall)
        return self._paused and isinstance(action, Beginning) and key_of(action) not in self._begun
