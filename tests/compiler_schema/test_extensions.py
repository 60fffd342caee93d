"""Extensions, and operators and casts of one's own: PostgreSQL and the describer agree on statements."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dfc.compiler.plan_describe import Refused
from dfc.compiler.plan_extensions import OF_OTHERS, extension
from dfc.compiler.schema import Catalog
from tests.compiler_schema.extensions import FILE, collect, written
from tests.compiler_schema.support import Oracle, asked, catalog, columns_of, database, described, suffixed
from tests.postgres import FAST, Server

VECTOR = """
    CREATE EXTENSION vector WITH SCHEMA public;
    CREATE TABLE documents (id bigint PRIMARY KEY, body text, embedding vector(3), short halfvec(3), sparse sparsevec(9));
"""
OF_VECTOR = (
    "SELECT id FROM documents ORDER BY embedding <-> '[1,2,3]' LIMIT 5",
    "SELECT id, 1 - (embedding <=> '[1,2,3]'::vector) AS similarity FROM documents",
    "SELECT embedding <#> embedding, embedding <+> embedding, short <-> short, sparse <=> sparse FROM documents",
    "SELECT avg(embedding), sum(embedding), avg(short) FROM documents",
    "SELECT ARRAY[1, 2, 3]::vector, '[1,2]'::vector(2)::real[], embedding::halfvec FROM documents",
    "SELECT vector_dims(embedding), l2_distance(embedding, '[1,2,3]'), cosine_distance(short, short) FROM documents",
    "INSERT INTO documents (id, embedding) VALUES (1, ARRAY[0.1, 0.2, 0.3]), (2, '[1,2,3]') RETURNING embedding",
    "UPDATE documents SET embedding = embedding + '[1,1,1]', short = l2_normalize(short) WHERE embedding = '[1,2,3]'",
    "SELECT binary_quantize(embedding) <~> B'101' FROM documents",
    "SELECT embedding || embedding, embedding * embedding, subvector(embedding, 1, 2) FROM documents",
    "SELECT [[vector_dmis]](embedding) FROM documents",
    "SELECT [[lenght]](body) FROM documents",
    "SELECT embedding [[<->]] 3 FROM documents",
    "SELECT embedding <=> short FROM documents",
    "SELECT embedding [[<~>]] embedding FROM documents",
    "SELECT id [[<->]] 3 FROM documents",
    "SELECT [[vector_dims]](id) FROM documents",
    "SELECT [[vector_dims]](embedding, 1) FROM documents",
    "SELECT embedding::[[vektor]] FROM documents",
    "SELECT [[embeding]] <-> '[1,2,3]' FROM documents",
    "SELECT id FROM [[document]] ORDER BY embedding <-> '[1,2,3]'",
    "SELECT id [[+]] body FROM documents",
    "INSERT INTO documents (id, embedding) VALUES (1, [[now]]())",
    "UPDATE documents SET embedding = [[id]]",
)  # fmt: skip

CONTRIB = """
    CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION pgcrypto; CREATE EXTENSION "uuid-ossp";
    CREATE EXTENSION pg_trgm; CREATE EXTENSION ltree; CREATE EXTENSION earthdistance CASCADE;
    CREATE EXTENSION tablefunc; CREATE EXTENSION fuzzystrmatch; CREATE EXTENSION unaccent; CREATE EXTENSION intarray;
    CREATE EXTENSION pg_stat_statements; CREATE EXTENSION btree_gist; CREATE EXTENSION isn;
    CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email citext UNIQUE, name text, tags hstore,
        path ltree, secret bytea, numbers int[], at cube, book isbn);
"""
OF_CONTRIB = (
    "SELECT id FROM people WHERE email = 'a@example.com' OR email LIKE '%@example.org'",
    "SELECT email || name, lower(email), length(email), email::text, max(email) OVER (), replace(email, 'a', 'b') FROM people",
    "SELECT p.name FROM people p JOIN people q ON p.email = q.name AND q.email = q.name::citext",
    "SELECT coalesce(email, name), CASE WHEN true THEN email ELSE 'x' END, email IN ('a', 'b') FROM people",
    "SELECT tags -> 'a', tags ? 'b', tags || 'a=>1'::hstore, (tags -> 'n')::int, akeys(tags), hstore('k', 'v') FROM people",
    "SELECT key, value FROM people, each(tags)",
    "SELECT digest(name, 'sha256'), crypt(name, gen_salt('bf')), encode(hmac(secret, secret, 'sha1'), 'hex') FROM people",
    "SELECT pgp_sym_decrypt(secret, 'key'), gen_random_bytes(8), armor(secret) FROM people",
    "SELECT uuid_generate_v4(), uuid_generate_v5(uuid_ns_url(), 'x')",
    "SELECT similarity(name, 'x'), name % 'x', name <-> 'x', word_similarity('x', name), show_trgm(name) FROM people",
    "SELECT path @> 'a.b', path ~ '*.b.*'::lquery, nlevel(path), subpath(path, 0, 1), path || 'x' FROM people",
    "SELECT earth_distance(ll_to_earth(1, 2), ll_to_earth(3, 4)), at @> at, cube_dim(at) FROM people",
    "SELECT * FROM crosstab('SELECT 1, 2, 3') AS c (a int, b int)",
    "SELECT normal_rand(3, 1.0, 0.5)",
    "SELECT levenshtein(name, 'x'), soundex(name), metaphone(name, 4), dmetaphone(name), unaccent(name) FROM people",
    "SELECT numbers & ARRAY[1], numbers @@ '1&2'::query_int, icount(numbers), sort(numbers, 'desc'), numbers + 1 FROM people",
    "SELECT book::ean13, isbn('0-00-000000-0'), book < book FROM people",
    "SELECT anything, query, calls FROM pg_stat_statements ORDER BY total_exec_time",
    "INSERT INTO people (email, name, tags, path) VALUES ('a', 'b', 'a=>1', 'a.b') ON CONFLICT (email) DO NOTHING RETURNING email, tags",
    "UPDATE people SET email = name, name = email, tags = tags - 'a'::text, secret = digest(email::text, 'md5')",
    "SELECT [[digst]](name, 'sha256') FROM people",
    "SELECT [[lenght]](name) FROM people",
    "SELECT [[digest]](numbers, 'x') FROM people",
    "SELECT [[similarty]](name, 'x') FROM people",
    "SELECT tags [[->]] 3 FROM people",
    "SELECT name [[->]] 'a' FROM people",
    "SELECT email [[+]] 1 FROM people",
    "SELECT path [[@>]] 3 FROM people",
    "SELECT name::[[citxt]] FROM people",
    "SELECT id FROM [[person]]",
    "SELECT [[emial]] FROM people",
    "UPDATE people SET tags = [[numbers]]",
    "SELECT id FROM people WHERE [[email]]",
)  # fmt: skip

OWN = """
    CREATE TYPE complex AS (r float8, i float8);
    CREATE FUNCTION complex_add(complex, complex) RETURNS complex LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION near(float8, float8) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION at(bool) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION of_text(text) RETURNS complex LANGUAGE sql AS 'SELECT NULL::complex';
    CREATE OPERATOR + (LEFTARG = complex, RIGHTARG = complex, FUNCTION = complex_add);
    CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
    CREATE OPERATOR <~> (LEFTARG = float8, RIGHTARG = float8, PROCEDURE = near);
    CREATE OPERATOR @# (RIGHTARG = bool, FUNCTION = at);
    CREATE CAST (text AS complex) WITH FUNCTION of_text(text) AS ASSIGNMENT;
    CREATE OPERATOR FAMILY several USING btree;
    CREATE TABLE points (id int, c complex, x float8, n numeric, at date);
"""
OF_OWN = (
    "SELECT c + c, (c + c).r, 1 === id, x <~> x, n <~> 2.5, id <~> x, @# true FROM points",
    "SELECT 'x'::text::complex, n::int === id FROM points",
    "INSERT INTO points (id, c) SELECT 1, 'a'::text",
    "SELECT 1 [[====]] 1",
    "SELECT n [[===]] id FROM points",
    "SELECT at [[<~>]] 1.0 FROM points",
    "SELECT at [[+]] at FROM points",
    "SELECT [[@#]] id FROM points",
    "SELECT 1 [[<<@>>]] 2",
    "SELECT id FROM points WHERE at [[=]] 3",
)  # fmt: skip


def agree(known: Catalog, oracle: Oracle, marked: str) -> None:
    """What is refused is marked by brackets; of all else the columns are the same, where they are known."""
    before, _, rest = marked.partition("[[")
    place, _, behind = rest.partition("]]")
    sql = before + place + behind
    verdict, answer = oracle.says(sql), described(known, sql)
    if sql != marked:
        assert isinstance(answer, Refused), answer
        assert answer.sqlstate == verdict.sqlstate
        assert (answer.start, sql[answer.start : answer.end]) == (len(before), place), answer
        return
    assert not isinstance(answer, Refused), answer
    assert not verdict.sqlstate or "anything" in sql, verdict
    mine, theirs = columns_of(answer), suffixed(verdict.columns)
    if mine is not None and not verdict.sqlstate:
        assert [name for name, _ in mine] == [name for name, _ in theirs]
        assert all(
            type in (None, of_server) for (_, type), (_, of_server) in zip(mine, theirs, strict=True)
        ), mine


@pytest.fixture(scope="module")
def embedded(server: Server) -> Iterator[str]:
    """A database of its own; its URL."""
    with database(server, "of_extensions") as url:
        yield url


def of(url: str, ddl: str) -> Iterator[tuple[Catalog, Oracle]]:
    with asked(url, ddl) as oracle:
        yield catalog(ddl), oracle


@pytest.fixture(scope="module")
def with_vector(embedded: str) -> Iterator[tuple[Catalog, Oracle]]:
    """Both, with vector."""
    yield from of(embedded, VECTOR)


@pytest.fixture(scope="module")
def with_own(embedded: str) -> Iterator[tuple[Catalog, Oracle]]:
    """Both, with operators of one's own."""
    yield from of(embedded, OWN)


@pytest.fixture(scope="module")
def with_contrib() -> Iterator[tuple[Catalog, Oracle]]:
    """Both, with PostgreSQL's own extensions, which Debian's server has."""
    server = Server("15", FAST)
    server.start()
    try:
        yield from of(server.url(), CONTRIB)
    finally:
        server.remove()


@pytest.mark.parametrize("sql", OF_VECTOR)
def test_vector(sql: str, with_vector: tuple[Catalog, Oracle]) -> None:
    agree(*with_vector, sql)


@pytest.mark.parametrize("sql", OF_OWN)
def test_operators_and_casts_of_ones_own(sql: str, with_own: tuple[Catalog, Oracle]) -> None:
    agree(*with_own, sql)


@pytest.mark.apt
@pytest.mark.parametrize("sql", OF_CONTRIB)
def test_extensions_of_postgresql(sql: str, with_contrib: tuple[Catalog, Oracle]) -> None:
    agree(*with_contrib, sql)


@pytest.mark.apt
def test_the_file_is_what_the_servers_have() -> None:
    assert FILE.read_text(encoding="utf-8") == written(collect())


def test_a_newer_extension_may_have_more() -> None:
    known = catalog("CREATE EXTENSION vector")
    assert "vector" in OF_OTHERS
    assert not isinstance(described(known, "SELECT zigzag(1, 2)"), Refused)
    assert isinstance(described(catalog("CREATE EXTENSION hstore"), "SELECT zigzag(1, 2)"), Refused)


@pytest.mark.parametrize(
    "sql", ["SELECT fips_mode()", "SELECT daitch_mokotoff('x')", "SELECT gen_random_bytes(3)"]
)
def test_what_newer_servers_brought_is_known(sql: str) -> None:
    known = catalog("CREATE EXTENSION pgcrypto; CREATE EXTENSION fuzzystrmatch")
    assert not isinstance(described(known, sql), Refused)


def test_of_an_unknown_extension_nothing_is_unknown() -> None:
    assert extension("hll") is None
    known = catalog("CREATE EXTENSION hll; CREATE EXTENSION pg_cron; CREATE TABLE t (a hll)")
    for sql in (
        "SELECT hll_cardinality(a), a || a FROM t",
        "SELECT * FROM hll.anything",
        "SELECT * FROM cron.job",
    ):
        assert not isinstance(described(known, sql), Refused), sql
