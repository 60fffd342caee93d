"""A full disk, as a small file system that root mounts: one line that says so, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a file system"),
]
WORKFLOW = """
CREATE TABLE IF NOT EXISTS ledger (step int);
'INSERT INTO ledger VALUES (1)'
  ~> df.step('fill', 'CREATE TABLE big AS SELECT repeat(md5(g::text), 30) FROM generate_series(1, 100000) g')
  ~> 'INSERT INTO ledger VALUES (2)';
SELECT array_agg(step ORDER BY step) FROM ledger;
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount(folder, "20m")
    yield folder
    subprocess.run(["fuser", "-k", str(folder)], check=False, capture_output=True)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)


def _run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dfc", "run", "fill.dfsql"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(disk: Path) -> None:
    (disk / "fill.dfsql").write_text(WORKFLOW)
    no_room = _run(disk)
    assert (no_room.returncode, no_room.stderr.count("is full: make room")) == (1, 1), no_room.stderr
    assert "Traceback" not in no_room.stderr

    _mount_again(disk, "70m")
    half_way = _run(disk)
    assert half_way.returncode == 1, half_way.stderr
    assert "Traceback" not in half_way.stderr
    assert "No space left on device" in half_way.stderr or "is full: make room" in half_way.stderr

    _mount_again(disk, "800m")
    enough = _run(disk)
    if enough.returncode != 0:  # the step had failed for good (53100): a new run after that
        enough = _run(disk)
    assert enough.returncode == 0, enough.stderr


def _mount_again(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@pytest.mark.parametrize(
    "command", [("fmt", "a.dfsql"), ("validate", "--fix", "a.dfsql"), ("compile", "b.dfsql", "-o", "out")]
)
def test_no_file_is_lost_on_a_full_disk(disk: Path, command: tuple[str, ...]) -> None:
    _mount_again(disk, "96k")
    files = {"a.dfsql": "df.sleeep( '1 s');\n" if "--fix" in command else "df.sleep( '1 s');\n", "out": "old"}
    files["a.dfsql"] += "'SELECT 1';\n" * 1_500
    files["b.dfsql"] = "df.seq(" + ",".join(["'SELECT 1'"] * 500) + ");\n"
    for name, text in files.items():
        (disk / name).write_text(text)
    with contextlib.suppress(OSError), (disk / "rest").open("wb", buffering=0) as rest:
        while rest.write(b"x" * 4096):
            pass
    done = subprocess.run(
        [sys.executable, "-m", "dfc", *command], cwd=disk, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "No space left on device" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert {name: (disk / name).read_text() for name in files} == files
    assert sorted(path.name for path in disk.iterdir()) == ["a.dfsql", "b.dfsql", "out", "rest"]
