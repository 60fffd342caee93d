"""`dfc validate --fix`: what it changes, what it leaves, and how it writes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfc.cli.errors import CliError
from dfc.cli.replacing import difference, write, write_output
from dfc.cli.reports.fixing import Fixed, fix
from dfc.cli.sources import Compiled, Workflow, compiled
from dfc.compiler.answer import answer_file
from dfc.compiler.source import Source
from dfc.grammar.lexer import Kind, scan
from tests.cli.conftest import Run, environment, limited

ROOT = Path(__file__).parent.parent.parent
FILES = sorted([*ROOT.glob("golden/*/*/workflow.dfsql"), *ROOT.glob("examples/*.dfsql")])
TEXTS = [path.read_bytes().decode() for path in FILES]
SMALL = [text for text in TEXTS if len(text) < 1500]


def compile_here(name: str, text: str) -> Compiled:
    """The compiler's answer, through JSON, without a process of its own."""
    answer = json.loads(json.dumps(answer_file(Source(name, text))))
    return compiled(name, text, answer["statements"], answer["diagnostics"], answer["rendered"])


def fixed(text: str) -> Fixed:
    return fix("x", text, compile_here)


CASES = {
    "df.step('batch', 'SELECT 1') ~> 'SELECT $batsh';": "df.step('batch', 'SELECT 1') ~> 'SELECT $batch';",
    "df.step('batch', 'SELECT 1') ~> 'SELECT 1 FROM $batsh.*';": (
        "df.step('batch', 'SELECT 1') ~> 'SELECT 1 FROM $batch.*';"
    ),
    "df.sleeep('1 s')": "df.sleep('1 s')",
    "df.step('a', 'SELECT 1', max_attemps => 3)": "df.step('a', 'SELECT 1', max_attempts => 3)",
    "df.step('a', 'SELECT 1', on_error => 'contniue')": "df.step('a', 'SELECT 1', on_error => 'continue')",
    "'SELEC 1'": "'SELECT 1'",
    "'selec 1'": "'select 1'",
    "'SELECT 1' ~> 'SELECT 2' |=> 'SELECT 3'": "('SELECT 1' ~> 'SELECT 2') |=> 'SELECT 3'",
    "@> 'SELECT 1' ~> 'SELECT 2'": "(@> 'SELECT 1') ~> 'SELECT 2'",
    "'SELECT 1' ~> @> 'SELECT 2' ~> 'SELECT 3'": "'SELECT 1' ~> (@> 'SELECT 2') ~> 'SELECT 3'",
    "('SELECT 1' ~> 'SELECT 2' & 'SELECT 3') ~> 'SELECT 4' | 'SELECT 5'": (
        "((('SELECT 1' ~> 'SELECT 2') & 'SELECT 3') ~> 'SELECT 4') | 'SELECT 5'"
    ),
    "df.if('SELECT true', df.step('a', 'SELECT 1 AS x')) ~> 'SELECT $a.x'": (
        "df.if('SELECT true', df.step('a', 'SELECT 1 AS x')) ~> 'SELECT $a.x?'"
    ),
    "df.http('http://x') |=> 'h' ~> 'SELECT $h.staus'": "df.http('http://x') |=> 'h' ~> 'SELECT $h.status'",
    "df.map('SELECT 1', 'SELECT $item', name => 'row')": "df.map('SELECT 1', 'SELECT $row', name => 'row')",
    "df.wait_for_schedule('* * * * *', time_zone => 'europe/vienna')": (
        "df.wait_for_schedule('* * * * *', time_zone => 'Europe/Vienna')"
    ),
    "SELECT df.define('d', 'SELECT $input.dya', params => '{\"day\": \"date\"}');": (
        "SELECT df.define('d', 'SELECT $input.day', params => '{\"day\": \"date\"}');"
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_what_is_fixed(text: str) -> None:
    result = fixed(text)
    assert result.compilation.text == CASES[text]
    assert result.changes
    assert not [each for each in result.compilation.problems if each.severity == "error"]


MISSPELT = (Kind.IDENT, Kind.STRING)

LEFT = (
    "df.step('a', 'SELECT 1)",  # where the quote belongs is not known
    "df.step('a', 'SELECT 1'",
    "df.step('s1', 'SELECT 1') ~> 'SELECT $s2'",  # another number is another name
    "df.step('abc', 'SELECT 1') ~> df.step('abd', 'SELECT 1') ~> 'SELECT $abe'",  # two are equally near
    "df.step('batch', 'SELECT 1') ~> E'SELECT $bat\\x73h'",  # written in another way
    "df.step('a', 'SELECT 1', retries => 3)",  # a number of retries is none of attempts
    "df.step('batch', 'SELECT 1') ~> 'SELECT ''$batsh'''",  # valid: a text
    "df.step('a', 'SELECT 1', on_error => 'continue') ~> 'SELECT $a'",  # valid: fails where `a` has
)


@pytest.mark.parametrize("text", LEFT)
def test_what_is_not_fixed(text: str) -> None:
    result = fixed(text)
    assert result.compilation.problems
    assert not result.changes and result.compilation.text == text


def test_the_valid_statements_of_a_file_stay() -> None:
    text = "'SELECT 1' ~> 'SELECT 2' & 'SELECT 3';\ndf.sleeep('1 s');\nCREATE TABLE t (a int);\n"
    result = fixed(text)
    assert [change.code for change in result.changes] == ["DF201", "DF156"]
    assert result.compilation.text.splitlines()[1:] == ["df.sleep('1 s');", "CREATE TABLE t (a int);"]


def test_where_not_all_edits_hold_those_that_do_are_made() -> None:
    """A compiler that finds a hundred problems more where one of the edits has been made."""

    def compile_file(name: str, text: str) -> Compiled:
        found = compile_here(name, text)
        extra = text.count("df.sleep('13 s')")
        return replace(found, problems=(*found.problems, *[problem] * (100 * extra)))

    (problem,) = compile_here("x", "'SELECT $nope'").problems
    text = "".join(f"df.sleeep('{number} s');\n" for number in range(20))
    result = fix("x", text, compile_file)
    assert [change.line for change in result.changes] == [line for line in range(1, 21) if line != 14]
    assert result.compilation.text.count("df.sleep(") == 19


def check(text: str) -> None:
    """The laws of fixing, for any text."""
    before = compile_here("x", text)
    result = fixed(text)
    after = result.compilation
    assert bool(result.changes) == (after.text != text)
    again = fixed(after.text)
    assert not again.changes and again.compilation.text == after.text, "it is idempotent"
    errors = [sum(p.severity == "error" for p in each.problems) for each in (before, after)]
    assert errors[1] <= errors[0]
    assert after.text.count("\n") == text.count("\n") and after.text.count("\r") == text.count("\r")
    if len(before.statements) == len(after.statements):
        for old, new in zip(before.statements, after.statements, strict=True):
            if isinstance(old, Workflow) and old.plan is not None:
                assert isinstance(new, Workflow) and new.plan == old.plan, "what is valid keeps its plan"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_golden_cases_and_examples(path: Path) -> None:
    check(path.read_bytes().decode())


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_misspelt_workflow(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(SMALL))
    for _ in range(data.draw(st.integers(1, 3))):
        words = [lexeme for lexeme in scan(text) if lexeme.kind in MISSPELT and lexeme.end - lexeme.start > 3]
        if not words:
            return
        word = data.draw(st.sampled_from(words))
        place = data.draw(st.integers(word.start + 1, word.end - 2))
        letter = data.draw(st.sampled_from(["", text[place] * 2, "x", "$", "(", "'", "😀", "\r\n"]))
        text = text[:place] + letter + text[place + 1 :]
    check(text)


def test_the_command_fixes_and_says_so(dfc: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.dfsql"
    old = "\ufeff-- ä\r\ndf.step('batch', 'SELECT 1')\r\n~> 'SELECT $batsh' |=> 'SELECT $nope'\r\n".encode()
    file.write_bytes(old)
    file.chmod(0o640)
    (tmp_path / "link.dfsql").symlink_to(file)
    shown = dfc("validate", "--diff", "link.dfsql")
    assert shown.returncode == 1 and file.read_bytes() == old
    assert "\n+~> 'SELECT $batch') |=> 'SELECT $nope'\n" in shown.stdout
    answer = dfc("validate", "--fix", "link.dfsql")
    assert answer.returncode == 1, "one error is left"
    lines = answer.stdout.splitlines()
    chain = "df.step('batch', 'SELECT 1') ~> 'SELECT $batsh'"
    assert lines[0] == f"fixed[DF201] link.dfsql:2:1: `{chain}` -> `({chain})`"
    assert "fixed[DF104] link.dfsql:3:13: `batsh` -> `batch`" in lines
    assert lines[-1] == "1 file, 1 workflow, 1 error, 2 fixed"
    assert file.read_bytes() == (
        "\ufeff-- ä\r\n(df.step('batch', 'SELECT 1')\r\n~> 'SELECT $batch') |=> 'SELECT $nope'\r\n".encode()
    )
    assert (tmp_path / "link.dfsql").is_symlink() and file.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dfsql", "link.dfsql"]
    again = dfc("validate", "--fix", "--format", "json", "link.dfsql")
    assert "fixed" not in again.stderr and [p["code"] for p in json.loads(again.stdout)] == ["DF104"]


def test_programs_read_the_report_and_people_what_was_fixed(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "a.dfsql").write_text("df.sleeep('1 s')")
    answer = dfc("validate", "--fix", "--format", "json", "a.dfsql")
    assert (answer.returncode, json.loads(answer.stdout)) == (0, [])
    assert answer.stderr == "fixed[DF156] a.dfsql:1:1: `df.sleeep` -> `df.sleep`\n"
    assert (tmp_path / "a.dfsql").read_text() == "df.sleep('1 s')"


def test_fix_wants_a_file(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "a.dfsql").write_text("df.sleep('1 s')")
    assert dfc("validate", "--fix", "-", input="").returncode == 2
    assert dfc("validate", "--fix", "--diff", "a.dfsql").returncode == 2


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.dfsql"
    file.write_text("old")
    with pytest.raises(OSError, match="changed while"):
        write(str(file), "other", "new")
    assert file.read_text() == "old"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(str(file), "old", "new")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a", "b"),
        ("a\n", "a"),
        ("a", "a\n"),
        ("", "a\n"),
        ("a\n\n", "a\n"),
        ("--- a\n+++ b", "@@ a\n--- c\n"),
        ("a\u2028b\x0bc\r\nd\re\n", "a\u2028b\x0bC\r\nd\re"),
        ("-- x", "-- y"),
    ],
)
def test_what_would_change_can_be_patched(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "a.dfsql"
    file.write_bytes(old.encode())
    shown = "".join(f"{line}\n" for line in difference("a.dfsql", old, new))
    subprocess.run(
        ["git", "apply", "--unidiff-zero", "-p0", "-"], input=shown.encode(), cwd=tmp_path, check=True
    )
    assert file.read_bytes().decode() == new


def test_only_files_are_replaced(dfc: Run, tmp_path: Path) -> None:
    """By both commands that write: a pipe stays a pipe, owner and rights stay what they were."""
    pipe = tmp_path / "pipe.dfsql"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        write(str(pipe), "", "new")
    file = tmp_path / f"{'n' * 249}.dfsql"
    file.write_text("df.sleeep( '1 s')")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 1234, 1234)
    before = file.stat()
    for command in (("validate", "--fix"), ("fmt",)):
        answer = dfc(*command, file.name)
        assert answer.returncode == 0, answer.stderr
        after = file.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert file.read_text() == "df.sleep('1 s');\n"


@pytest.mark.parametrize(
    "command", [("fmt",), ("validate", "--fix"), ("validate", "--fix", "--format", "json")]
)
def test_what_may_not_be_written_does_not_keep_others_from_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    text = "df.sleeep( '1 s')" if command[0] == "validate" else "df.sleep( '1 s')"
    for name in ("a", "b/b", "c", "d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.dfsql").write_text(text)
    (tmp_path / "b").chmod(0o500)
    (tmp_path / "c.dfsql").chmod(0o400)
    done = subprocess.run(
        limited(*command, "."),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (tmp_path / "b").chmod(0o700)
    assert done.returncode == 1
    for name in ("b/b", "c"):
        assert f"dfc: cannot write `{name}.dfsql`: Permission denied\n" in done.stderr
        assert (tmp_path / f"{name}.dfsql").read_text() == text
    assert text not in [(tmp_path / f"{name}.dfsql").read_text() for name in ("a", "d")]
    assert "Traceback" not in done.stderr and not list(tmp_path.glob("**/.*"))
    if command[0] == "fmt":
        assert "2 laid out, 2 not written" in done.stderr
    elif "json" in command:
        assert [each["file"] for each in json.loads(done.stdout)] == ["b/b.dfsql", "c.dfsql"]
    else:
        assert "4 files, 4 workflows, 2 errors, 2 fixed" in done.stdout


def test_output_is_written_whole_or_not_at_all(
    dfc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.dfsql").write_text("'SELECT 1'")
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o604)
    link.symlink_to("real")
    for output in ("link", "new", "/dev/stdout", "/dev/full", "."):
        answer = dfc("compile", "a.dfsql", "-o", output)
        assert answer.returncode == (1 if output in ("/dev/full", ".") else 0), answer.stderr
    assert link.is_symlink() and json.loads(real.read_text()) == json.loads((tmp_path / "new").read_text())
    assert (real.stat().st_mode & 0o777, (tmp_path / "new").stat().st_mode & 0o111) == (0o604, 0)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(tmp_path.iterdir())
    real.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CliError, match="No space"):
        write_output(str(link), "new")
    assert real.read_text() == "old" and sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_what_may_not_be_written_is_not(tmp_path: Path) -> None:
    file = tmp_path / "a.dfsql"
    file.write_text("old")
    file.chmod(0o444)
    with pytest.raises(PermissionError):
        write(str(file), "old", "new")
    assert file.read_text() == "old"
