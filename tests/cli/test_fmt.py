"""`dfc fmt`: processes and files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run

UNLIKE = "-- one\n'SELECT 1'~>'SELECT 2';\n"
LIKE = "-- one\n'SELECT 1' ~> 'SELECT 2';\n"
WRONG = "'SELECT 1' ~>;\n"


def test_files_are_laid_out(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    unlike, like, wrong = (tmp_path / "flows" / f"{name}.dfsql" for name in ("unlike", "like", "wrong"))
    unlike.write_text(UNLIKE)
    like.write_text(LIKE)
    checked = dfc("fmt", "--check", "flows")
    assert (checked.returncode, checked.stdout) == (1, f"{Path('flows') / 'unlike.dfsql'}\n")
    assert "1 would change, 1 left as it is" in checked.stderr and unlike.read_text() == UNLIKE
    shown = dfc("fmt", "--check", "--diff", "flows")
    assert shown.returncode == 1 and "-'SELECT 1'~>'SELECT 2';\n+'SELECT 1' ~> 'SELECT 2';\n" in shown.stdout
    looked = dfc("fmt", "--diff", "flows")
    assert (looked.returncode, looked.stdout) == (0, shown.stdout) and unlike.read_text() == UNLIKE
    wrong.write_text(WRONG)
    done = dfc("fmt", "flows")
    assert done.returncode == 1 and "error[DF101]: the statement ends too early" in done.stderr
    assert "1 laid out, 1 left as it is, 1 with errors" in done.stderr
    assert (unlike.read_text(), wrong.read_text()) == (LIKE, WRONG)
    wrong.unlink()
    assert dfc("fmt", "--check", "flows").returncode == 0
    nothing = dfc("fmt", str(tmp_path / "nothing.dfsql"))
    assert nothing.returncode == 1 and "there is no file" in nothing.stderr
    assert dfc("fmt").returncode == 2


def test_what_the_file_has_stays(dfc: Run, tmp_path: Path) -> None:
    """Line ends, a byte order mark, rights, a link; no half-written file, and none left behind."""
    real, link = tmp_path / "real.dfsql", tmp_path / "link.dfsql"
    real.write_bytes(b"\xef\xbb\xbf" + UNLIKE.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    link.symlink_to("real.dfsql")
    assert dfc("fmt", "link.dfsql").returncode == 0
    assert real.read_bytes() == b"\xef\xbb\xbf" + LIKE.replace("\n", "\r\n").encode()
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.dfsql", "real.dfsql"]
    before = real.stat().st_mtime_ns
    assert dfc("fmt", "link.dfsql").returncode == 0
    assert real.stat().st_mtime_ns == before


def test_standard_input(tmp_path: Path) -> None:
    def through(text: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "dfc", "fmt", *options, "-"]
        return subprocess.run(command, input=text, capture_output=True, cwd=tmp_path, env=os.environ)

    done = through(UNLIKE.encode())
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, LIKE, b"")
    checked = through(UNLIKE.encode(), "--check")
    assert (checked.returncode, checked.stdout) == (1, b"<stdin>\n")
    wrong = through(WRONG.encode())
    assert (wrong.returncode, wrong.stdout.decode()) == (1, WRONG) and b"DF101" in wrong.stderr
    no_text = through(b"'SELECT \xff'")
    assert no_text.returncode == 1 and b"not UTF-8" in no_text.stderr
