"""The `dfc` command as a process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import preloaded

ROOT = Path(__file__).resolve().parent.parent.parent

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    """Without anything that names a database."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PG", "DFC_"))}


def hearing() -> None:
    """In a child: no signal is ignored because whoever runs the tests has it ignored (`nohup`, `&`)."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def dfc(tmp_path: Path) -> Run:
    """Runs `dfc` with arguments in a folder of its own; the answer's `returncode`, `stdout`, `stderr`."""

    def run(
        *arguments: str, input: str | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return preloaded.run(
            arguments, cwd=cwd or tmp_path, environment=environment(), input=input, seconds_max=120
        )

    return run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an embedded database, shared by the tests of a module, and removed in order."""
    folder = tmp_path_factory.mktemp("project")
    yield folder
    command = [sys.executable, "-P", "-m", "dfc", "reset", "--yes"]
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the examples, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("copy") / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns(".dfc", "__pycache__"))
    yield folder
    command = [sys.executable, "-P", "-m", "dfc", "reset", "--yes"]
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, timeout=60)


def limited(*arguments: str) -> list[str]:
    """The command with these arguments as somebody whom the permissions of files bind, also for root."""
    command = [sys.executable, "-m", "dfc", *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    return command


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What Python does with these arguments."""
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300
    )


def rows(answer: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The table of the result, without its head."""
    assert answer.returncode == 0, answer.stderr
    return [re.split(r"\s{2,}", line.strip()) for line in answer.stdout.splitlines()[1:] if line.strip()]
