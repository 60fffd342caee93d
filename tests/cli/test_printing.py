"""Colours on terminals, and UTF-8 for everything else."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import environment

BAD = "SELECT df.start('SELECT $日😀', 'ä');\n'SELECT 1' ~> 'SELECT $é';"


def on_a_terminal(*arguments: str, cwd: Path, settings: Mapping[str, str]) -> bytes:
    """What the command writes to a terminal."""
    mine, theirs = pty.openpty()
    plain = {key: value for key, value in environment().items() if key not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "dfc", *arguments],
        cwd=cwd,
        env={**plain, "TERM": "xterm", **settings},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    try:
        while data := os.read(mine, 65536):
            said += data
    except OSError:
        pass  # Linux has no other end for a terminal that everybody has closed
    os.close(mine)
    process.wait(60)
    return said


@pytest.mark.parametrize("command", ["validate", "fmt", "compile"])
def test_there_is_colour_where_it_is_wanted(tmp_path: Path, command: str) -> None:
    (tmp_path / "a.dfsql").write_text("'SELECT 1' ~> ;")
    for settings, coloured in (
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ):
        said = on_a_terminal(command, "a.dfsql", cwd=tmp_path, settings=settings)
        assert b"DF101" in said
        assert (b"\x1b[" in said) is coloured, (settings, said)


def test_no_name_moves_the_cursor_of_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31m\n.dfsql").write_text("df.sleeep( '1 s')")
    for command in (("validate", "--fix"), ("fmt", "--check"), ("fmt", "--diff"), ("validate",)):
        said = on_a_terminal(*command, ".", cwd=tmp_path, settings={"NO_COLOR": "1"})
        assert "␛[31m .dfsql".encode() in said or command == ("validate",), said
        assert b"\x1b" not in said
    piped = subprocess.run(
        [sys.executable, "-m", "dfc", "fmt", "--check", "."],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert piped.stdout == "\x1b[31m\n.dfsql\n", "for programs it is what it is"


def test_what_looks_like_a_colour_stays_in_a_script(tmp_path: Path) -> None:
    text = "INSERT INTO t VALUES ('\x1b[31mred')"
    (tmp_path / "a.dfsql").write_text(f"{text};\n'SELECT 1'")
    for command in (("compile", "--sql"), ("fmt", "--diff")):
        done = subprocess.run(
            [sys.executable, "-m", "dfc", *command, "a.dfsql"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert text in done.stdout, (command, done)


OTHERS = [pytest.param(each, marks=pytest.mark.long) for each in ("latin1", "utf-16", "utf-8")]


@pytest.mark.parametrize("encoding", ["ascii", *OTHERS])
def test_programs_read_utf_8(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.dfsql").write_text(BAD)
    (tmp_path / "b.dfsql").write_text("SELECT df.start('SELECT ''日😀é''', 'ä');")

    def said(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dfc", *arguments],
            cwd=tmp_path,
            env={**environment(), "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.stdout.decode()

    messages = [each["message"] for each in json.loads(said("validate", "--format", "json", "a.dfsql"))]
    assert "`日😀`" in messages[0] and "`é`" in messages[1]
    assert "`日😀`" in json.dumps(
        json.loads(said("validate", "--format", "sarif", "a.dfsql")), ensure_ascii=False
    )
    assert "`日😀`" in said("validate", "--format", "github", "a.dfsql")
    assert "`日😀`" in said("validate", "a.dfsql")
    assert json.loads(said("compile", "b.dfsql"))["label"] == "ä"


def test_the_name_of_a_file_may_be_any_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff \xe9.dfsql")
    (tmp_path / name).write_text("'SELEC 1'")
    for form in ("human", "json", "sarif", "github"):
        done = subprocess.run(
            [sys.executable, "-m", "dfc", "validate", "--format", form, "."],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1 and done.stderr == b""
        said = done.stdout.decode()
        if form == "json":
            assert [each["file"] for each in json.loads(said)] == [name]
