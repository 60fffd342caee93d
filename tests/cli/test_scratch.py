"""A scratch database leaves nothing behind, wherever its beginning is interrupted."""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path

import pytest

from dfc.cli.crashing import scratch
from dfc.cli.crashing.processes import spawn_janitor
from dfc.cli.crashing.scratch import Scratch
from dfc.cli.errors import CliError


def test_what_is_interrupted_at_its_beginning_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path) -> None:
        assert folder.is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "spawn_janitor", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Scratch()
    assert list(tmp_path.iterdir()) == []


def test_nobody_waits_for_who_waits_for_his_end(tmp_path: Path) -> None:
    janitor = spawn_janitor(tmp_path / "nothing")
    try:
        assert janitor.daemon and janitor in multiprocessing.active_children()
    finally:
        janitor.kill()
        janitor.join()


def test_no_room_for_the_folder_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with pytest.raises(CliError, match="set TMPDIR to one that can be written to"):
        Scratch()
