"""The worker beside `dfc run` and `dfc up`: replaced whenever it is killed, given up when it cannot live."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from dfc.cli.errors import CliError
from dfc.cli.supervise import SHORT_LIVES_MAX, WorkerChild
from tests.e2e.harness import wait_until


def test_a_worker_that_is_killed_again_and_again_is_replaced(database: str, tmp_path: Path) -> None:
    said: list[str] = []
    with WorkerChild(database, log=tmp_path / "worker.log", say=said.append) as worker:
        for kills in range(1, SHORT_LIVES_MAX + 2):
            killed = worker.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda killed=killed: worker.pid != killed, 30, f"the one after {kills} deaths")
            worker.check()
    assert len(said) > SHORT_LIVES_MAX


def test_a_worker_that_cannot_live_is_given_up_with_its_own_words(bare_database: str, tmp_path: Path) -> None:
    def failed() -> bool:
        try:
            worker.check()
        except CliError as error:
            words.append(str(error))
        return bool(words)

    words: list[str] = []
    # There is no schema for it.
    with WorkerChild(bare_database, log=tmp_path / "worker.log", say=lambda _: None) as worker:
        wait_until(failed, 60, "the end of patience")
    assert "does not stay alive" in words[0] and "dfc init" in words[0]
