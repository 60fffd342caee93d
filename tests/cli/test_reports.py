"""`dfc validate` for programs: SARIF against the published schema, annotations of GitHub, the hooks."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import jsonschema
import pytest
import yaml

from dfc.cli.app import COMMANDS
from dfc.cli.reports import github
from dfc.cli.reports.examined import Examined
from dfc.cli.reports.sarif import sarif
from dfc.cli.sources import Unreadable, compiled, decode
from dfc.compiler.answer import answer_file
from dfc.compiler.source import Source
from tests.cli.conftest import Run

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads((ROOT / "tests/sarif/sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
ERR = sorted((ROOT / "golden/err").glob("*/workflow.dfsql"))


def examined(name: str, text: str) -> Examined:
    """What the compiler says, without a process of its own."""
    answer = json.loads(json.dumps(answer_file(Source(name, text))))
    found = compiled(name, text, answer["statements"], answer["diagnostics"], answer["rendered"])
    return Examined(name=name, text=text, problems=found.problems, workflows=0, rendered="")


def validate(log: object) -> None:
    """Raises ValidationError where the published schema refuses a log."""
    validator: Any = jsonschema.Draft4Validator(SCHEMA)
    validator.validate(log)


def checked(*files: Examined) -> dict[str, Any]:
    """The log of these files, after it has been held against the schema."""
    log = json.loads(json.dumps(sarif(files)))
    validate(log)
    return cast("dict[str, Any]", log["runs"][0])


def cut(text: str, region: dict[str, int]) -> str:
    """What a region holds, counted as SARIF counts: lines and UTF-16 code units from 1."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + 2 * (len(line.encode("utf-16-le")) // 2 + 1))
    data = text.encode("utf-16-le")
    begin = starts[region["startLine"] - 1] + 2 * (region["startColumn"] - 1)
    end = starts[region["endLine"] - 1] + 2 * (region["endColumn"] - 1)
    return data[begin:end].decode("utf-16-le")


def test_the_schema_can_refuse() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(json.loads('{"version": "2.1.0", "runs": [{"results": []}]}'))


def test_every_golden_case_is_valid_sarif() -> None:
    files = [examined(str(path.relative_to(ROOT)), path.read_bytes().decode()) for path in ERR]
    run = checked(*files)
    problems = [(file, problem) for file in files for problem in file.problems]
    assert len(run["results"]) == len(problems) > 100
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result, (file, problem) in zip(run["results"], problems, strict=True):
        assert rules[result["ruleIndex"]] == result["ruleId"] == problem.code
        assert result["level"] == problem.severity
        place = result["locations"][0]["physicalLocation"]
        assert unquote(place["artifactLocation"]["uri"]) == file.name
        start, end = problem.json["span"]
        assert file.text is not None
        assert cut(file.text, place["region"]) == file.text[start:end]
        placed = [note for note in problem.json["notes"] if note["span"]]
        assert len(result.get("relatedLocations", ())) == len(placed)
    for rule in run["tool"]["driver"]["rules"]:
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}: {rule['shortDescription']['text']}\n")
    prints = [
        (
            r["locations"][0]["physicalLocation"]["artifactLocation"]["index"],
            r["partialFingerprints"]["dfc/v1"],
        )
        for r in run["results"]
    ]
    assert len(set(prints)) == len(prints)


def test_columns_are_utf16_code_units_and_fixes_are_there() -> None:
    text = "-- 😀😀\r\n/* 😀 */ df.step('batch', 'SELECT ''😀''') ~> 'SELECT $batsh';\r\n"
    run = checked(examined("a b#c.dfsql", text))
    (result,) = run["results"]
    assert run["columnKind"] == "utf16CodeUnits"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b%23c.dfsql"
    assert cut(text, place["region"]) == "$batsh"
    before = text.split("\n")[1].partition("$batsh")[0]
    assert place["region"]["startColumn"] == len(before) + before.count("😀") + 1
    (fix,) = result["fixes"]
    (replacement,) = fix["artifactChanges"][0]["replacements"]
    assert cut(text, replacement["deletedRegion"]) == "batsh"
    assert replacement["insertedContent"] == {"text": "batch"}


def test_braces_and_links_in_messages_are_escaped() -> None:
    run = checked(examined("a.dfsql", "'SELECT {x} FROM FROM'; df.nope_at_all('{[a](1)}')"))
    texts = [result["message"]["text"] for result in run["results"]]
    for text in texts:
        assert "{" not in text.replace("{{", "") and "}" not in text.replace("}}", "")


def test_a_file_that_cannot_be_read_is_a_result(tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as caught:
        decode("latin.dfsql", "😀 ".encode() + "ä".encode("latin-1"))
    from dfc.cli.reports.examined import unreadable

    gone = Unreadable("gone.dfsql", "DF158", "there is no file `gone.dfsql`", "check the path")
    run = checked(unreadable(caught.value), unreadable(gone))
    first, second = run["results"]
    assert first["locations"][0]["physicalLocation"]["region"]["startColumn"] == 4
    assert "region" not in second["locations"][0]["physicalLocation"]


def test_a_name_is_any_bytes() -> None:
    run = checked(examined(os.fsdecode(b"\xff a.dfsql"), "'SELEC 1'"))
    assert run["artifacts"][0]["location"]["uri"] == "%FF%20a.dfsql"


ODD = [
    "a b.dfsql",
    "100%41.dfsql",
    "a#b?c.dfsql",
    "ä日😀.dfsql",
    os.fsdecode(b"\xff\xfe.dfsql"),
    "new\nline\r.dfsql",
    "C:\\x.dfsql",
    "::error.dfsql",
    "[a];b,c.dfsql",
    "<stdin>",
]
_URI = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:(?://[^/?#\\[\\]]*)?/|(?![^/]*:))"
    r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
)
"""RFC 3986, as far as paths need it: a scheme, or no colon in the first segment."""


def test_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run/sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run")
    inside = [*ODD, *(f"./{name}" for name in ODD[:2]), *(str(tmp_path / "run" / name) for name in ODD[2:4])]
    outside = ["../a b.dfsql", str(tmp_path / "ä.dfsql"), "sub/../../x.dfsql", "//tmp/x.dfsql"]
    through = ["sub/../a b.dfsql", "sub//a b.dfsql", "sub/./a b.dfsql"]
    names = [*inside, *outside, *through]
    run = checked(*(examined(name, "'SELEC 1'") for name in names))
    for name, artifact in zip(names, run["artifacts"], strict=True):
        location = artifact["location"]
        uri = str(location["uri"])
        assert _URI.fullmatch(uri), uri
        assert "/../" not in f"/{uri}" and "/./" not in f"/{uri}" and "//" not in uri.removeprefix("file://")
        path = unquote_to_bytes(urlsplit(uri).path)
        if name in outside:
            assert "uriBaseId" not in location and uri.startswith("file:///")
            assert os.fsdecode(path) == os.path.abspath(name).replace("//", "/")  # noqa: PTH100
        else:
            assert location["uriBaseId"] == "%SRCROOT%"
            assert tmp_path / "run" / os.fsdecode(path) == Path(os.path.abspath(name))  # noqa: PTH100
    for name in names:
        file = examined(name, "'SELEC 1'")
        (line,) = github.lines([file], notes=True)
        assert "\n" not in line and "\r" not in line and parsed(line)[1]["line"] == "1"


def test_the_command_writes_sarif(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "ok.dfsql").write_text("SELECT df.start('SELECT 1');")
    (tmp_path / "bad.dfsql").write_text("SELECT df.start(df.step('a', 'SELECT $b'));")
    answer = dfc("validate", "--format", "sarif", ".")
    assert answer.returncode == 1
    log = json.loads(answer.stdout)
    validate(log)
    run: dict[str, Any] = log["runs"][0]
    assert [result["ruleId"] for result in run["results"]] == ["DF104"]
    assert [each["location"]["uri"] for each in run["artifacts"]] == ["bad.dfsql", "ok.dfsql"]
    base = urlsplit(str(run["originalUriBaseIds"]["%SRCROOT%"]["uri"]))
    assert (base.scheme, Path(unquote(base.path))) == ("file", tmp_path)
    empty = dfc("validate", "--format", "sarif", "ok.dfsql")
    assert empty.returncode == 0
    validate(json.loads(empty.stdout))


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """An annotation as GitHub's runner reads it."""
    head, _, data = line[2:].partition("::")
    command, _, said = head.partition(" ")
    properties = dict(part.split("=", 1) for part in said.split(","))

    def plain(text: str, *codes: str) -> str:
        for code in (*codes, "0A", "0D", "25"):
            text = text.replace(f"%{code}", bytes.fromhex(code).decode())
        return text

    return command, {key: plain(value, "3A", "2C") for key, value in properties.items()}, plain(data)


def test_annotations_of_github_can_be_read_back() -> None:
    name = "100%,a:b.dfsql"
    text = "df.step('a', 'SELECT 1') ~> df.step('a', 'SELECT 100%$b');\n'SELECT 1' ~> 'SELECT $c::int'"
    file = examined(name, text)
    lines = list(github.lines([file], notes=True))
    assert len(lines) == len(file.problems) == 3
    for line, problem in zip(lines, file.problems, strict=True):
        assert "\n" not in line
        command, properties, message = parsed(line)
        assert command == "error"
        assert properties["file"] == name and properties["title"] == problem.code
        assert int(properties["line"]) == problem.json["line"]
        assert int(properties["endColumn"]) == problem.json["end_column"]
        assert message.split("\n")[0] == problem.message
        assert message.endswith(f"help: {problem.json['help']}")
    assert "(line 1, column 9)" in parsed(lines[0])[2]


def test_an_annotation_over_several_lines_has_no_columns() -> None:
    file = examined("a.dfsql", "df.step('a', E'SELECT 1;\\nSELECT\n 2')")
    (line,) = github.lines([file], notes=False)
    _, properties, _ = parsed(line)
    assert properties["line"] != properties["endLine"]
    assert not properties.keys() & {"col", "endColumn"}


HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_for_pre_commit(dfc: Run, tmp_path: Path, hook: dict[str, Any]) -> None:
    program, command, *options = [*shlex.split(hook["entry"]), *hook.get("args", ())]
    assert program == "dfc" and hook["language"] == "python" and hook["files"] == r"\.dfsql$"
    assert command in COMMANDS
    (tmp_path / "good.dfsql").write_text("SELECT df.start('SELECT 1');\n")
    (tmp_path / "bad.dfsql").write_text("SELECT   df.start('SELECT 1'   ;\n")
    assert dfc(command, *options, "good.dfsql").returncode == 0
    assert dfc(command, *options, "good.dfsql", "bad.dfsql").returncode == 1


def test_there_are_the_hooks_that_the_docs_name() -> None:
    assert [hook["id"] for hook in HOOKS] == ["dfc-validate", "dfc-fmt"]


@pytest.mark.peers
def test_pre_commit_itself_runs_the_hooks(tmp_path: Path) -> None:
    """Of the commit that is checked out here; pre-commit and what the hooks need come from pip."""
    run = partial(
        subprocess.run, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=600, env=_BARE
    )
    run([sys.executable, "-m", "venv", "venv"])
    installed = run(["venv/bin/pip", "install", "-q", "pre-commit"])
    assert installed.returncode == 0, installed.stderr
    run(["git", "init", "-q", "."])
    head = run(["git", "-C", str(ROOT), "rev-parse", "HEAD"]).stdout.strip()

    def hooks(validate: list[str], fmt: list[str]) -> tuple[int, str]:
        chosen = [{"id": "dfc-validate", "args": validate}, {"id": "dfc-fmt", "args": fmt}]
        config = {"repos": [{"repo": str(ROOT), "rev": head, "hooks": chosen}]}
        (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
        run(["git", "add", "*.dfsql", ".pre-commit-config.yaml"])
        done = run(["venv/bin/pre-commit", "run", "--all-files", "--verbose"])
        return done.returncode, done.stdout + done.stderr

    bad, ugly = tmp_path / "ä b%.dfsql", tmp_path / "ugly.dfsql"
    ugly.write_text("SELECT df.start('SELECT 1');\n")
    code, said = hooks([], ["--check"])
    assert (code, said.count("Passed")) == (0, 2), said
    bad.write_text("SELECT df.start('SELEC 1');\n")
    ugly.write_text("SELECT  df.start( 'SELECT 1');\n")
    code, said = hooks([], ["--check"])
    assert (code, said.count("Failed")) == (1, 2) and "error[DF120]" in said, said
    code, said = hooks(["--fix"], [])
    assert (code, said.count("files were modified by this hook")) == (1, 2), said
    assert bad.read_text() == "SELECT df.start('SELECT 1');\n" == ugly.read_text()
    assert hooks(["--fix"], [])[0] == 0


_BARE = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GIT_"))}


def test_explain_prints_the_page_of_a_code(dfc: Run, tmp_path: Path) -> None:
    page = (ROOT / "docs/errors/DF203.md").read_text(encoding="utf-8")
    for written in ("DF203", "df203", "df 203", "DF-203", "203", "error[DF203]:", " DF203. "):
        answer = dfc("explain", written)
        assert (answer.returncode, answer.stdout.rstrip("\n")) == (0, page.rstrip("\n"))
    unknown = dfc("explain", "DF2033")
    assert unknown.returncode == 1 and "did you mean `DF203`" in unknown.stderr
    for written, near in (("DF2O3", "DF203"), ("DF20", "DF201"), ("9", "")):
        unknown = dfc("explain", written)
        assert unknown.returncode == 1 and "there is no code `" in unknown.stderr
        assert f"`{near}`" in unknown.stderr or not near
    for written in ("x" * 300, "df.dfsql", "workflow", "\0"):
        assert "there is no code" not in dfc("explain", written).stderr
    (tmp_path / "DF203").write_text("SELECT df.start('SELECT 1');")
    assert dfc("explain", "DF203").stdout == "SQL: SELECT 1\n", "a file that is there is meant"
