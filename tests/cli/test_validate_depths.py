"""`dfc validate` with a schema and with a database."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import ROOT, Run
from tests.postgres import Server

DUMP = r"""
--
-- PostgreSQL database dump
--
\restrict abcDEF

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;

CREATE SCHEMA app;
ALTER SCHEMA app OWNER TO somebody_else;
CREATE TYPE app.mood AS ENUM ('good', 'bad');
CREATE FUNCTION app.twice(n integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT (twice.n * 2);
END;
CREATE TABLE public.users (
    id bigint NOT NULL,
    email text DEFAULT 'a;b',
    mood app.mood
);
ALTER TABLE public.users OWNER TO somebody_else;
CREATE TABLE public.places (id bigint, at no_such_type);
COPY public.users (id, email, mood) FROM stdin;
1	it's; \n	good
\.
ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
GRANT SELECT ON TABLE public.users TO somebody_else;
\unrestrict abcDEF
"""
GOOD = """
SELECT df.start('SELECT id, email, app.twice(id::int) AS n FROM users' |=> 'u'
  ~> 'UPDATE users SET mood = ''good'' WHERE id = $u.id' ~> 'SELECT at FROM places WHERE id = $u.id');
"""
BAD = """
CREATE TABLE copies (id bigint, mail text);
SELECT df.start('SELECT id, email FROM users' |=> 'u' ~> 'INSERT INTO copies (id, mial) VALUES ($u.id, $u)');
SELECT df.start('SELECT * FROM users' |=> 'u' ~> 'SELECT $u.emial');
SELECT df.start('SELECT app.twice(id) FROM users');
"""


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.sql"
    path.write_text(DUMP)
    return path


def codes(output: str) -> list[tuple[str, int]]:
    return [(each["code"], each["line"]) for each in json.loads(output) if each["severity"] != "note"]


def test_a_dump_in_a_scratch_database(
    dfc: Run, tmp_path: Path, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of its own: others may be validating. Paths of sockets are short.
    place = tempfile.TemporaryDirectory(prefix="dfcs", dir="/tmp")
    Path(place.name).chmod(0o777)
    monkeypatch.setenv("TMPDIR", place.name)
    (tmp_path / "good.dfsql").write_text(GOOD)
    (tmp_path / "bad.dfsql").write_text(BAD)
    answer = dfc("validate", "good.dfsql", "bad.dfsql", "--schema", "dump.sql", "--exact", "--format", "json")
    assert answer.returncode == 1, answer.stderr
    assert codes(answer.stdout) == [("DF402", 3), ("DF406", 4), ("DF403", 5)]
    said = {each["code"]: each for each in json.loads(answer.stdout)}
    assert said["DF402"]["help"] == "did you mean `mail`?"
    assert (
        said["DF406"]["file"] == "bad.dfsql"
        and "`id`, `email`, `mood`" in said["DF406"]["notes"][0]["message"]
    )
    assert "app.twice(n integer)" in said["DF403"]["help"] or "twice(n integer)" in said["DF403"]["help"]
    assert list(Path(place.name).iterdir()) == []
    place.cleanup()
    assert not (tmp_path / ".dfc").exists()


def test_a_database(dfc: Run, tmp_path: Path, server: Server, bare_database: str) -> None:
    with psycopg.connect(bare_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE users (id bigint, email text)")
    (tmp_path / "x.dfsql").write_text(
        "SELECT df.start('SELECT emial FROM users' ~> 'SELECT id FROM users');\n"
    )
    answer = dfc("validate", "x.dfsql", "--database", bare_database)
    assert answer.returncode == 1
    assert "error[DF402]" in answer.stdout and "x.dfsql:1:25" in answer.stdout
    assert "1 file, 1 workflow, 1 error" in answer.stdout
    (tmp_path / "x.dfsql").write_text(
        "SELECT df.start('SELECT email FROM users' |=> 'u' ~> 'SELECT id FROM users WHERE email = $u');\n"
    )
    assert dfc("validate", "x.dfsql", "--strict", "--database", bare_database).returncode == 0


def test_what_an_extension_has_is_not_unknown(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "ddl.sql").write_text("CREATE EXTENSION no_such_extension; CREATE TABLE t (at no_such_type);")
    (tmp_path / "x.dfsql").write_text(
        "SELECT df.start('SELECT far_away(at) FROM t' ~> 'SELECT near_by(1)');\n"
    )
    answer = dfc("validate", "x.dfsql", "--schema", "ddl.sql", "--exact", "--format", "json")
    assert answer.returncode == 0, answer.stdout
    assert [each["code"] for each in json.loads(answer.stdout)] == ["DF410", "DF410"]


def test_an_extension_that_the_embedded_server_brings_is_made(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "ddl.sql").write_text(
        "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;\nCOMMENT ON EXTENSION vector IS 'v';\n"
        "CREATE TABLE docs (id int, embedding public.vector(3));\n"
    )
    (tmp_path / "x.dfsql").write_text(
        "SELECT df.start('SELECT embedding <=> ''[1,2,3]'' AS d FROM docs' |=> 'near'\n"
        "  ~> 'SELECT $near.distance'\n"
        "  ~> 'SELECT cosine_distanse(embedding, embedding) FROM docs');\n"
    )
    answer = dfc("validate", "x.dfsql", "--schema", "ddl.sql", "--exact", "--format", "json")
    assert codes(answer.stdout) == [("DF213", 2), ("DF406", 2), ("DF403", 3)]


def test_the_examples_make_what_they_need(dfc: Run) -> None:
    answer = dfc("validate", str(ROOT / "examples"), "--exact", "--format", "json")
    assert answer.returncode == 0, answer.stdout
    assert [each for each in json.loads(answer.stdout) if each["severity"] == "error"] == []


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--database", "x", "--exact"], 2, "--database has its own schema"),
        (["--exact", "--schema", "nothing.sql"], 1, "there is no file `nothing.sql`: check the path"),
        (["--schema", "nothing.sql"], 1, "there is no file `nothing.sql`: check the path"),
        (["--schema", "."], 1, "`.` is a folder: name a file in it"),
        (["--database", "postgresql://nobody@/nothing?host=/nowhere"], 1, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(
    dfc: Run, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    (tmp_path / "x.dfsql").write_text("SELECT df.start('SELECT 1');")
    answer = dfc("validate", "x.dfsql", *options)
    assert answer.returncode == code and message in answer.stderr
    assert "Traceback" not in answer.stderr
