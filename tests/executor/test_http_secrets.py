"""`{secret:NAME}`: where it comes from, where it is put, and that nothing shows it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler.plan import Duration, Part, Policy, Request
from dfc.executor.failures import StepFailed
from dfc.executor.runners import http_secrets
from dfc.executor.runners.http import HttpSender
from dfc.executor.runners.http_secrets import SecretFault, look_up
from dfc.executor.secret_text import Redactor, fill, fill_json, fill_url, names_in
from tests.executor.http_site import (
    CLAIM,
    OPEN,
    Recorder,
    Site,
    action,
    failure,
    plain,
    request,
    rows,
    send,
    serving,
    wire,
)

SECRET = 'p&s "wörd/{x}'


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("DFC_SECRET"):
            monkeypatch.delenv(name)


def value_of(name: str) -> str:
    return asyncio.run(look_up([name]))[name]


def fault_of(name: str) -> SecretFault:
    with pytest.raises(SecretFault) as caught:
        value_of(name)
    return caught.value


# Where they come from


def test_the_sources_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "`KEY` is not known" in str(fault_of("KEY"))
    monkeypatch.setenv("DFC_SECRET_COMMAND", f"{sys.executable} -c 'import sys; print(sys.argv[1] * 2)'")
    assert value_of("KEY") == "KEYKEY"
    monkeypatch.setenv("DFC_SECRETS_DIR", str(tmp_path))
    assert value_of("KEY") == "KEYKEY"
    (tmp_path / "KEY").write_bytes("from a file é\r\n".encode())
    assert value_of("KEY") == "from a file é"
    monkeypatch.setenv("DFC_SECRET_KEY", "from the environment")
    assert value_of("KEY") == "from the environment"


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRETS_DIR", str(tmp_path))
    (tmp_path / "a").write_bytes(b"one\n\n")
    assert value_of("a") == "one\n"
    (tmp_path / "b").write_bytes(b"\n")
    assert "`b` is not known" in str(fault_of("b"))
    (tmp_path / "c").write_bytes(b"\xff\xfe")
    assert "`c` is not text" in str(fault_of("c"))
    (tmp_path / "d").write_bytes(b"x" * (http_secrets.SECRET_BYTES_MAX + 1))
    assert "secret_bytes_max" in str(fault_of("d"))
    (tmp_path / "e").mkdir()
    assert "cannot be read" in str(fault_of("e"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print('oops'); sys.exit(3)", "no secret `KEY` (exit code 3)"),
        ("pass", "`KEY` is not known"),
        ("print('x' * 100000)", "secret_bytes_max"),
        ("while True: print('x' * 100000)", "secret_bytes_max"),
    ],
)
def test_commands_that_give_none(monkeypatch: pytest.MonkeyPatch, code: str, said: str) -> None:
    monkeypatch.setenv("DFC_SECRET_COMMAND", f'{sys.executable} -c "{code}"')
    found = fault_of("KEY")
    assert said in str(found) and "oops" not in str(found) and not found.passing


def test_what_a_command_has_started_is_ended_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    command = f"sh -c 'sleep 60 & echo $! > {pid}; wait'"
    monkeypatch.setenv("DFC_SECRET_COMMAND", command)
    monkeypatch.setattr(http_secrets, "COMMAND_SECONDS_MAX", 1.0)
    assert fault_of("KEY").passing
    deadline = time.monotonic() + 20
    while _runs(int(pid.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_commands_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("/no/such/program", "'unbalanced"):
        monkeypatch.setenv("DFC_SECRET_COMMAND", command)
        assert "cannot be run for the secret `KEY`" in str(fault_of("KEY"))
    # The variable that holds the command is not the secret of that name.
    monkeypatch.setenv("DFC_SECRET_COMMAND", "true")
    assert "`COMMAND` is not known" in str(fault_of("COMMAND"))


def test_a_command_that_hangs_is_ended(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open('{pid}', 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setenv("DFC_SECRET_COMMAND", f'{sys.executable} -c "{code}"')
    monkeypatch.setattr(http_secrets, "COMMAND_SECONDS_MAX", 1.0)
    sent = request(site.url(), "POST", "{secret:KEY}")
    failed = failure(sent)
    assert failed.retryable and failed.error.sqlstate == "DF320" and "`KEY`" in failed.error.message
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIGCONT)
    assert not failure(sent, attempt=5).retryable
    stopped = failure(sent, step=Policy(timeout=Duration(microseconds=100_000)))
    assert stopped.retryable and stopped.error.sqlstate == "timeout"
    assert site.seen == []


# Where they are put


def test_a_request_with_secrets(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRET_BASE", site.url("/api").rstrip("/"))
    monkeypatch.setenv("DFC_SECRET_KEY", SECRET)
    monkeypatch.setenv("DFC_SECRET_TOKEN", "t0ken")
    send(
        request(
            "{secret:BASE}/a?k={secret:KEY}&l=1",
            "POST",
            '{"a": "x{secret:KEY}y", "b": {secret:KEY}, "c": "{secret::KEY}",'
            ' "d\\"{secret:KEY}": "{secret: }"}',
            Authorization="Bearer {secret:TOKEN}",
        )
    )
    [(_, path, headers, body)] = site.seen
    assert path == "/api/a?k=p%26s%20%22w%C3%B6rd%2F%7Bx%7D&l=1"
    assert headers["authorization"] == "Bearer t0ken"
    assert json.loads(body) == {
        "a": f"x{SECRET}y",
        "b": SECRET,
        "c": "{secret:KEY}",
        f'd"{SECRET}': "{secret: }",
    }
    send(request(site.url(), "POST", "a={secret:KEY}", Content_Type="text/plain"))
    assert site.seen[1][3].decode() == f"a={SECRET}"


def test_user_and_password_in_a_url(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRET_PASSWORD", "p@ss:/")
    send(request(f"http://anna:{{secret:PASSWORD}}@127.0.0.1:{site.port}/"))
    expected = base64.b64encode(b"anna:p@ss:/").decode()
    assert site.seen[0][2]["authorization"] == f"Basic {expected}"


def test_secrets_in_parts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRET_DATA", base64.b64encode(b"hidden").decode())
    monkeypatch.setenv("DFC_SECRET_NAME", "field")
    part = Part(name="{secret:NAME}", data_b64="{secret:DATA}", filename="{secret:NAME}.bin")
    send(Request(url=site.url(), method="POST", body=None, headers=(), timeout_seconds=30, parts=(part,)))
    assert b'name="field"; filename="field.bin"' in site.seen[0][3] and b"hidden" in site.seen[0][3]


def test_an_unknown_secret_fails_the_step(site: Site) -> None:
    failed = failure(request(site.url(), "GET", Authorization="Bearer {secret:TOKEN}"))
    assert failed.error.sqlstate == "DF320" and not failed.retryable
    assert failed.error.message == "the secret `TOKEN` is not known to this worker"
    assert "DFC_SECRET_TOKEN" in (failed.error.hint or "")
    assert site.seen == []


def test_a_secret_that_cannot_be_sent_is_not_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRET_TOKEN", "hush\r\nX-Evil: 1")
    failed = failure(request(site.url(), "GET", Authorization="Bearer {secret:TOKEN}"))
    assert failed.error.sqlstate == "DF517" and "header `Authorization`" in failed.error.message
    failed = failure(request("{secret:TOKEN}/x"))
    assert failed.error.sqlstate == "DF517" and "hush" not in str(failed.error)
    assert site.seen == []


def test_data_names_no_secret(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of requests that a statement computed, only what the statement's own text names is a secret."""
    monkeypatch.setenv("DFC_SECRET_OURS", "our-secret")
    monkeypatch.setenv("DFC_SECRET_OTHER", "other-secret")
    cell = wire(
        url=site.url(),
        method="POST",
        body='{"comment": "{secret:OTHER}"}',
        headers={"Authorization": "{secret:OURS}"},
    )
    send(rows(cell), secrets=names_in('SELECT df.http(u, headers => \'{"Authorization": "{secret:OURS}"}\')'))
    _, _, headers, body = site.seen[0]
    assert headers["authorization"] == "our-secret"
    assert json.loads(body) == {"comment": "{secret:OTHER}"}


# That nothing shows them


def test_an_echo_is_recorded_without_the_secret(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRET_KEY", SECRET)
    monkeypatch.setenv("DFC_SECRET_TOKEN", "t0ken")
    sent = request(
        site.url("/?k={secret:KEY}"), "POST", '{"k": "{secret:KEY}"}', Authorization="Bearer {secret:TOKEN}"
    )

    def echo(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        head = f"{handler.path} {handler.headers['Authorization']} ".encode()
        plain(status, head + body + tail, X_Echo=handler.headers["Authorization"])(handler, b"")

    site.reply = echo
    for status, tail in ((200, b""), (200, b"\0"), (500, b"")):
        if status == 200:
            found: dict[str, Any] = send(sent)
        else:
            error = failure(sent).error
            found = {"body": f"{error.message} {error.detail}", "encoding": "text"}
        text: str = found["body"]
        if tail:
            assert found["encoding"] == "base64"
            text = base64.b64decode(text).decode()
        assert text.count("{secret:KEY}") >= 2 and "{secret:TOKEN}" in text
        for shown in (SECRET, "t0ken", "w%C3%B6rd", json.dumps(SECRET)[1:-1]):
            assert shown not in text and shown not in json.dumps(found)


def test_messages_and_logs_show_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DFC_SECRET_HOST", "127.0.0.1:1/hidden-path")
    monkeypatch.setenv("DFC_SECRET_BAD", "hidden host:x y")
    monkeypatch.setenv("DFC_SECRET_DENIED", "hidden-host.example")
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    for url in ("http://{secret:HOST}", "http://a.{secret:BAD}/", "http://u:p@x.{secret:DENIED}/?q#f"):
        failed = failure(request(url))
        assert "hidden" not in str(failed.error), failed.error
    assert not any("hidden" in record.getMessage() for record in caplog.records)
    assert failure(request("{secret:HOST}")).error.message.count("hidden") == 0


def test_logs_of_a_request_show_no_secret(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DFC_SECRET_KEY", "hidden-key")
    caplog.set_level(logging.DEBUG)
    assert send(request(site.url("/?k={secret:KEY}"), "GET", X_Key="{secret:KEY}"))["status"] == 200
    assert "hidden-key" in site.seen[0][1]
    assert not any("hidden" in record.getMessage() for record in caplog.records)


def test_a_secret_url_is_not_shown_in_part(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFC_SECRET_HOOK", "https://hooks.example:99/services/T0/B0")
    failed = failure(request("{secret:HOOK}/a?b"))
    assert failed.error.sqlstate == "DF510" and "example" not in str(failed.error)
    assert "{secret:HOOK}" in failed.error.message
    monkeypatch.setenv("DFC_SECRET_HOOK", "http://127.0.0.1:pass9/")
    failed = failure(request("{secret:HOOK}/a?b"))
    assert failed.error.sqlstate == "DF517" and "pass9" not in str(failed.error)
    monkeypatch.setenv("DFC_SECRET_HOOK", site.url("/hook"))
    site.reply = plain(500, b"see 127.0.0.1")
    failed = failure(request("{secret:HOOK}/a?b"))
    assert failed.error.message == "HTTP GET {secret:HOOK}/a returned 500: see {secret:HOOK}"


# Texts


def test_names() -> None:
    text = "{secret:A} {secret:b.c-d_1} {secret::C} {secret:} {secret: D} {secret:../E} {Secret:F} {secret:G"
    assert names_in(text) == {"A", "b.c-d_1"}
    assert fill(text, {"A": "{secret:b.c-d_1}", "b.c-d_1": "2"}).startswith("{secret:b.c-d_1} 2 {secret:C} ")


@given(st.dictionaries(st.sampled_from(["A", "B"]), st.text(min_size=1)), st.text())
def test_filled_json_stays_json(values: dict[str, str], around: str) -> None:
    assert json.loads(fill_json('{"k": "<{secret:A}>", "v": {secret:B}}', {"A": "", "B": "", **values})) == {
        "k": f"<{values.get('A', '')}>",
        "v": values.get("B", ""),
    }
    text = json.dumps({around: "{secret:A}"})
    assert json.loads(fill_json(text, values)) == json.loads(
        fill(text, {k: json.dumps(v)[1:-1] for k, v in values.items()})
    )


@given(st.text(min_size=4), st.text(), st.text())
def test_a_redacted_text_does_not_show_the_secret(secret: str, before: str, after: str) -> None:
    if secret in "{secret:NAME}":
        return
    found = Redactor({"NAME": secret}).text(before + secret + after)
    parts = found.split("{secret:NAME}")
    assert len(parts) > 1 and all(secret not in part for part in parts)


def test_redacting_takes_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor({"A": "token", "B": "token-long", "C": "x"})
    assert redactor.text("token-long token x") == "{secret:B} {secret:A} x"
    assert redactor.bytes(b"\xfftoken\xff") == b"\xff{secret:A}\xff"
    assert fill_url("{secret:A}/{secret:A}", {"A": "h:/ö"}) == "h:/ö/h%3A%2F%C3%B6"


def test_an_interrupted_look_up_ends_its_command(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open('{pid}', 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setenv("DFC_SECRET_COMMAND", f'{sys.executable} -c "{code}"')

    async def go() -> None:
        sender = HttpSender(Recorder(), OPEN)
        task: asyncio.Task[Any] = asyncio.create_task(
            sender.send(CLAIM, action(request(site.url(), "GET", X="{secret:KEY}")))
        )
        deadline = time.monotonic() + 20
        while not (pid.exists() and pid.read_text()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sender.close()

    asyncio.run(go())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIGCONT)


def test_a_failure_is_no_answer(site: Site) -> None:
    with pytest.raises(StepFailed):
        send(request(site.url("/{secret:NONE}")))
