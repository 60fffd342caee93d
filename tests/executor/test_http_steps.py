"""HTTP steps from `df.start` to the recorded response: PostgreSQL, a worker, and a server that may refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import psycopg
import pytest

from tests.executor.http_site import Site, plain, serving
from tests.executor.support import WorkerProcess, ended

SECRET = 's3cret/"42"'


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def worker(shared_database: str, place: Site) -> Iterator[WorkerProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFC_SECRET_TOKEN", SECRET)
        running = WorkerProcess(shared_database, allow_hosts=(f"127.0.0.1:{place.port}",))
    with running:
        yield running


@pytest.fixture
def database(shared_database: str, worker: WorkerProcess) -> str:
    return shared_database


@pytest.fixture
def site(place: Site) -> Site:
    place.seen.clear()
    place.reply = plain(200)
    return place


def start(database: str, expression: str) -> dict[str, Any]:
    """Run a workflow; its row in df.instances when it has ended."""
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(f"SELECT df.start({expression})".encode()).fetchone()
        assert row is not None
        return ended(connection, str(row[0]))


def test_templates_secrets_and_refusals(database: str, worker: WorkerProcess, site: Site) -> None:
    def reply(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        plain(429 if len(site.seen) < 3 else 200, body, Retry_After="0")(handler, body)

    site.reply = reply
    found = start(
        database,
        f"""
        ('SELECT 7 AS id, $t$it''s "{{secret:TOKEN}}"$t$ AS note' |=> 'x')
        ~> (df.http('{site.url("/$x.id?n=$x.note")}', 'POST',
                    '{{"note": "$x.note", "id": $x.id, "key": "{{secret:TOKEN}}"}}',
                    '{{"Authorization": "Bearer {{secret:TOKEN}}"}}') |=> 'answer')
        ~> 'SELECT $answer.body::json ->> ''note'' AS note, $answer.body::json ->> ''key'' AS key'
        """,
    )
    assert found["status"] == "completed", found["error"]
    [row] = found["result"]["rows"]
    assert row == {"note": 'it\'s "{secret:TOKEN}"', "key": "{secret:TOKEN}"}
    assert len(site.seen) == 3
    assert len({headers["idempotency-key"] for _, _, headers, _ in site.seen}) == 1
    _, path, headers, body = site.seen[-1]
    assert path == "/7?n=it%27s%20%22%7Bsecret%3ATOKEN%7D%22"
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert json.loads(body) == {"note": 'it\'s "{secret:TOKEN}"', "id": 7, "key": SECRET}
    with psycopg.connect(database) as connection:
        stored = connection.execute(
            "SELECT (SELECT string_agg(c::text, ' ') FROM df.checkpoints c)"
            " || (SELECT string_agg(i::text, ' ') FROM df.instances i)"
        ).fetchone()
    assert stored is not None and "s3cret" not in stored[0]
    assert not any("s3cret" in line for line in worker.lines)


def test_the_last_answer_of_a_server_that_refuses(database: str, site: Site) -> None:
    site.reply = plain(503, b"busy")
    found = start(database, f"df.http('{site.url()}', 'PUT', max_attempts => 3, backoff => 0.01)")
    assert (found["status"], found["error"]["sqlstate"]) == ("failed", "DF518")
    assert found["error"]["message"] == f"HTTP PUT {site.url()} returned 503: busy"
    assert len(site.seen) == 3
    found = start(database, f"df.http('{site.url()}', 'POST')")
    assert (found["error"]["sqlstate"], len(site.seen)) == ("ambiguous", 4)
    site.reply = plain(429)
    found = start(database, f"df.http('{site.url()}', 'POST', max_attempts => 2, backoff => 0.01)")
    assert (found["status"], found["result"]["status"], len(site.seen)) == ("completed", 429, 6)
    found = start(
        database, f"df.http('{site.url()}', 'POST', retry_on => ARRAY['all'], no_retry_on => ARRAY['429'])"
    )
    assert (found["status"], len(site.seen)) == ("completed", 7)


def test_parts(database: str, site: Site) -> None:
    found = start(
        database,
        f"""
        ('SELECT ''a.txt'' AS name, ''hi''::bytea AS content' |=> 'f')
        ~> df.http_multipart('{site.url()}', parts =>
             '[{{"name": "file", "data_b64": "$f.content", "filename": "$f.name"}}]')
        """,
    )
    assert found["status"] == "completed", found["error"]
    assert b'name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n' in site.seen[0][3]


def test_the_value_of_a_break(database: str) -> None:
    found = start(
        database,
        """df.loop(('SELECT 5 AS n, ''x"y'' AS t' |=> 'a') ~> df.break('{"n": $a.n, "t": "<$a.t>"}'))""",
    )
    assert (found["status"], found["result"]) == ("completed", {"n": 5, "t": '<x"y>'})
