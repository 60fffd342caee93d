"""References are judged as PostgreSQL judges a parameter in their place."""

from __future__ import annotations

from typing import LiteralString, cast

import psycopg
import pytest

from dfc.compiler.ast import Text
from dfc.compiler.plan import Use
from dfc.compiler.sql import Analysis, Reference, analyse, literals_of

_SETUP = """
CREATE TABLE t (id int, a int);
CREATE PROCEDURE p(x int) LANGUAGE plpgsql AS 'BEGIN PERFORM x; END';
CREATE FUNCTION run(q text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE q USING 1; END';
"""

TAKEN = (
    "SELECT $x",
    "SELECT $x + 1, f.a FROM t f WHERE id = $x LIMIT $x OFFSET $x",
    "SELECT id FROM t FETCH FIRST $x ROWS ONLY",
    "SELECT (ARRAY[1, 2])[$x], CASE $x WHEN $x THEN 1 END, $x::text AS label, $x label",
    "SELECT count(*) OVER (ORDER BY id ROWS $x PRECEDING) FROM t TABLESAMPLE bernoulli ($x)",
    "SELECT EXTRACT(year FROM now()) = $x, 1 IN ($x, $x), $x BETWEEN $x AND $x, - $x",
    "VALUES ($x), ($x)",
    "INSERT INTO t VALUES ($x, $x) RETURNING $x",
    "UPDATE t SET a = $x, id = DEFAULT WHERE id = $x",
    "UPDATE t SET (a, id) = ($x, $x)",
    "DELETE FROM t WHERE id = $x",
    "MERGE INTO t USING (SELECT $x AS id) s ON s.id = t.id WHEN MATCHED AND t.id = $x THEN DELETE",
    "WITH c AS (SELECT $x AS id) SELECT * FROM c",
    "CREATE TABLE n AS SELECT $x AS a",
    "SELECT $x AS a INTO n",
    "EXPLAIN SELECT $x",
    "EXPLAIN ANALYZE INSERT INTO t VALUES ($x)",
    "CALL p($x)",
    "DECLARE c CURSOR FOR SELECT $x",
)
"""PostgreSQL takes parameters here."""

REFUSED = (
    "SELECT * FROM $x",
    "SELECT interval $x",
    "SELECT date $x",
    "SELECT int4 $x",
    "SELECT EXTRACT($x FROM now())",
    "SELECT 1 AS $x",
    "SELECT a COLLATE $x FROM t",
    "SELECT 1 IN $x",
    "SELECT '1'::$x",
    "UPDATE t SET $x = 1",
    "INSERT INTO $x VALUES (1)",
    "DELETE FROM t WHERE CURRENT OF $x",
    "SELECT * FROM t FOR UPDATE OF $x",
    "SELECT 1 $x",
    "SELECT json_value('1', '$' RETURNING $x)",
)
"""PostgreSQL takes none here, though libpg_query does in some of them."""

# By what the place of each reference takes: n a name, v a value, s a string, c a constant.
UTILITY = (
    ("n", "VACUUM (ANALYZE) $x"),
    ("cn", "VACUUM (PARALLEL $x) $x"),
    ("nn", "VACUUM $x, public.$x (id)"),
    ("nnn", "ANALYZE $x.tbl ($x, $x)"),
    ("n", "REINDEX TABLE CONCURRENTLY $x"),
    ("nn", "CLUSTER $x USING $x"),
    ("n", "TRUNCATE $x"),
    ("nn", "LOCK TABLE $x, $x IN SHARE MODE"),
    ("n", "REFRESH MATERIALIZED VIEW CONCURRENTLY $x"),
    ("nn", "DROP TABLE IF EXISTS $x, $x"),
    ("nv", "CREATE TABLE $x (a int DEFAULT $x)"),
    ("nnvn", "CREATE TABLE $x ($x int CHECK (a > $x), CONSTRAINT $x UNIQUE (a))"),
    ("nnvv", "CREATE TABLE $x PARTITION OF $x FOR VALUES FROM ($x) TO ($x, MAXVALUE)"),
    ("v", "CREATE TABLE n PARTITION OF t FOR VALUES IN ($x)"),
    ("cc", "CREATE TABLE n PARTITION OF t FOR VALUES WITH (MODULUS $x, REMAINDER $x)"),
    ("nv", "CREATE TABLE $x AS SELECT $x AS a"),
    ("nvn", "CREATE TABLE $x AS SELECT $x AS a FROM $x"),
    ("nv", "SELECT id INTO $x FROM t WHERE id = $x"),
    ("nnnv", "CREATE INDEX CONCURRENTLY $x ON $x (id, $x) WHERE id > $x"),
    ("nnc", "CREATE INDEX ON $x USING $x (id) WITH (fillfactor = $x)"),
    ("nv", "CREATE VIEW $x AS SELECT $x AS a"),
    ("nvn", "CREATE MATERIALIZED VIEW $x AS SELECT $x AS a FROM $x"),
    ("nnv", "ALTER TABLE $x ADD CONSTRAINT $x CHECK (a > $x)"),
    ("nnv", "ALTER TABLE $x ALTER COLUMN $x SET DEFAULT $x"),
    ("nc", "ALTER TABLE t ALTER COLUMN $x SET STATISTICS $x"),
    ("nn", "ALTER TABLE t ALTER COLUMN $x TYPE $x"),
    ("nn", "ALTER TABLE $x RENAME TO $x"),
    ("nc", "ALTER SEQUENCE $x RESTART WITH $x"),
    ("nc", "CREATE SEQUENCE $x INCREMENT BY $x"),
    ("ss", "CREATE TYPE mood AS ENUM ($x, $x)"),
    ("nn", "GRANT SELECT ON $x TO $x"),
    ("nn", "GRANT $x TO $x"),
    ("ns", "ALTER ROLE $x PASSWORD $x"),
    ("ns", "COMMENT ON TABLE $x IS $x"),
    ("nns", "COMMENT ON COLUMN $x.$x IS $x"),
    ("nsc", "COPY $x TO $x WITH (DELIMITER $x)"),
    ("vns", "COPY (SELECT $x FROM $x) TO $x"),
    ("c", "SET work_mem = $x"),
    ("n", "SHOW $x"),
    ("ns", "NOTIFY $x, $x"),
    ("nvv", "CALL $x($x, b => $x)"),
    ("v", "PREPARE q AS SELECT $x"),
    ("nv", "EXECUTE $x($x)"),
    ("nv", "DECLARE $x CURSOR FOR SELECT $x"),
    ("cn", "FETCH $x FROM $x"),
    ("nnc", "CREATE TRIGGER $x AFTER INSERT ON t EXECUTE FUNCTION $x($x)"),
    ("nn", "DROP FUNCTION $x($x)"),
)


def _analyse(sql: str) -> Analysis:
    return analyse(Text(value=sql))


def _codes(sql: str) -> list[str]:
    return [problem.code for problem in _analyse(sql).problems]


@pytest.fixture
def connection(bare_database: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(bare_database, autocommit=True)
    connection.execute(_SETUP)
    return connection


def _execute(connection: psycopg.Connection[tuple[object, ...]], sql: str) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(cast(LiteralString, "SELECT run(%s)"), (sql.replace("$x", "$1"),))


def test_taken(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with connection:
        for sql in TAKEN:
            found = _analyse(sql)
            assert (sql, found.problems) == (sql, ())
            _execute(connection, found.sql)


def test_refused(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with connection:
        for sql in REFUSED:
            assert (sql, _codes(sql)) == (sql, ["DF130"])
            with pytest.raises(psycopg.errors.SyntaxError):
                _execute(connection, sql)


@pytest.mark.parametrize(("places", "sql"), UTILITY)
def test_utility(places: str, sql: str) -> None:
    found = _analyse(sql)
    assert found.problems == ()
    constants = {literal.start: "s" if literal.type_start is None else "c" for literal in found.literals}
    taken = ["n" if one.identifier else constants.get(one.start, "v") for one in found.references]
    assert "".join(taken) == places


@pytest.mark.parametrize(
    "sql",
    [
        "VACUUM $x.*",
        "CREATE TABLE $x.* (a int)",
        "ALTER TABLE t $x COLUMN a",
        "REINDEX $x t",
        "EXPLAIN TABLE $x",
    ],
)
def test_no_place_in_a_utility_statement(sql: str) -> None:
    assert _codes(sql) == ["DF130"]


def test_many_references_in_a_utility_statement_take_no_long() -> None:
    columns = ", ".join(f"c{i} int DEFAULT $x" for i in range(1_500))
    found = _analyse(f"CREATE TABLE $x ({columns})")
    assert found.problems == ()
    assert [one.identifier for one in found.references] == [True] + [False] * 1_500


def _one(sql: str) -> Reference:
    found = _analyse(sql)
    assert found.problems == ()
    [reference] = found.references
    return reference


@pytest.mark.parametrize(
    ("written", "column", "use", "optional"),
    [
        ("$x", None, Use.VALUE, False),
        ("$x?", None, Use.VALUE, True),
        ("$x.col", "col", Use.VALUE, False),
        ("$x.col?", "col", Use.VALUE, True),
        ("$x.row_count", None, Use.ROW_COUNT, False),
        ("$größe.spalte_ü", "spalte_ü", Use.VALUE, False),
    ],
)
def test_values(written: str, column: str | None, use: Use, optional: bool) -> None:
    reference = _one(f"/* é */ SELECT 'é', {written}>5 -- $no\n")
    assert (reference.column, reference.use, reference.optional) == (column, use, optional)
    assert reference.name == written[1:].split(".")[0].removesuffix("?")
    assert "SELECT 'é', "[reference.start :] == "" and reference.end - reference.start == len(written)


@pytest.mark.parametrize(
    ("behind", "aliased"),
    [
        ("", False),
        (" x", True),
        (" AS x(a, b)", True),
        (' "where"', True),
        (" set", True),
        (" WHERE true", False),
        (" JOIN t ON true", False),
        (", t", False),
        (" CROSS JOIN t", False),
        (" NATURAL LEFT JOIN t", False),
        (" UNION SELECT 1", False),
        (" ORDER BY 1", False),
        (" FOR UPDATE", False),
        (" /* c */ q", True),
    ],
)
def test_row_sets(behind: str, aliased: bool) -> None:
    reference = _one(f"SELECT 1 FROM $rows.*{behind}")
    assert reference.use is Use.ROWS
    assert reference.aliased is aliased


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM t, LATERAL $r.* q",
        "INSERT INTO t SELECT * FROM $r.* ON CONFLICT DO NOTHING",
        "DELETE FROM t USING $r.* q WHERE q.id = t.id",
        "UPDATE t SET a = r.a FROM $r.*",
        "MERGE INTO t USING $r.* ON r.id = t.id WHEN MATCHED THEN DELETE",
        "SELECT (SELECT count(*) FROM $r?.*)",
        "SELECT * FROM (t JOIN $r.* ON true)",
    ],
)
def test_row_sets_stand_where_tables_do(sql: str) -> None:
    assert _one(sql).use is Use.ROWS


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT $r.*",
        "SELECT count($r.*)",
        "INSERT INTO $r.* VALUES (1)",
        "SELECT 1 FROM ONLY $r.*",
        "TABLE $r.*",
    ],
)
def test_row_sets_elsewhere(sql: str) -> None:
    [problem] = _analyse(sql).problems
    assert problem.code == "DF130"
    assert "is a table" in problem.message


def test_positional_parameters() -> None:
    assert _codes("SELECT $1, $2") == ["DF128", "DF128"]
    assert _codes("SELECT '$1', $$ $1 $$, $q$ $2 $q$ -- $3") == []
    assert _codes("PREPARE x AS SELECT $1") == []
    assert _codes("CREATE FUNCTION f(int) RETURNS int RETURN $1") == []


def test_bodies_are_not_touched() -> None:
    for sql in ("DO 'BEGIN PERFORM $x; END'", "DO $$ BEGIN PERFORM '$x'; END $$"):
        found = _analyse(sql)
        assert (found.problems, found.references, found.literals) == ((), (), ())
    found = _analyse("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT $x'")
    assert (found.problems, found.literals) == ((), ())
    assert _codes("CREATE FUNCTION f() RETURNS int RETURN $x") == ["DF121"]
    assert _codes("DO $x") == ["DF121"]


def _literals(sql: str, *known: str) -> list[str]:
    """Each literal with its references, `sql` marked: the literal in angles, the type too."""
    found = _analyse(sql)
    assert found.problems == ()
    references, literals = literals_of(found, known)
    assert [one for one in references if not one.literal] == [
        one for one in found.references if not one.literal
    ]
    shown: list[str] = []
    for literal in literals:
        kind = (
            "" if literal.type_start is None else found.sql[literal.type_start : literal.start].strip() + " "
        )
        inside = [one for one in references if literal.start <= one.start < literal.end]
        assert all(one.literal for one in inside)
        names = [found.sql[one.start : one.end] for one in inside]
        names += [found.sql[offset : offset + 3] for offset in literal.escapes]
        shown.append(f"{kind}{found.sql[literal.start : literal.end]}: {' '.join(names)}")
    return shown


LITERALS = [
    ("SELECT 'a $x', 'b $no', '$1', 'c'", ["'a $x': $x"]),
    ("SELECT E'\\'$x \\$y', $$ $x $$, \"$x\", t_$x, 't_$x' -- $x", ["E'\\'$x \\$y': $x", "'t_$x': $x"]),
    ("SELECT '$$x', '$$no', '$$$x'", ["'$$x': $$x", "'$$$x': $$x"]),
    ("SELECT '$x.a.b', '$x.row_count', '$x.*', '$x.'", [
        "'$x.a.b': $x.a", "'$x.row_count': $x.row_count", "'$x.*': $x.*", "'$x.': $x"]),
    ("SELECT '$x?', '$x.a? b', 'h/$x?a=1', '$x.error.message?'", [
        "'$x?': $x?", "'$x.a? b': $x.a?", "'h/$x?a=1': $x", "'$x.error.message?': $x.error.message?"]),
    ("SELECT '$x$y', '$x$ a $x$', '$x$ a', '$xy', '$x円'", ["'$x$y': $x $y", "'$x$ a': $x", "'$x円': $x"]),
    ("SELECT 'a' -- $x\n '$y'", ["'a' -- $x\n '$y': $y"]),
    ("SELECT U&'$x \\0024y', U&'!!$x!0024y' UESCAPE '!', U&'$0024x' UESCAPE '$', N'$x'", [
        "U&'$x \\0024y': $x", "U&'!!$x!0024y': $x", "N'$x': $x"]),
    ("SELECT interval '$x days', INTERVAL '$x' YEAR TO MONTH, interval(2) '$x', interval '$x' second (3)", [
        "interval '$x days': $x", "INTERVAL '$x': $x", "interval(2) '$x': $x", "interval '$x': $x"]),
    ("SELECT date '$x', timestamp with time zone '$x', time (3) without time zone '$x', timestamp '$x'", [
        "date '$x': $x", "timestamp with time zone '$x': $x", "time (3) without time zone '$x': $x",
        "timestamp '$x': $x"]),
    ("SELECT double precision '$x', national character varying(3) '$x', bit varying '$x', dec(3,1) '$x'", [
        "double precision '$x': $x", "national character varying(3) '$x': $x", "bit varying '$x': $x",
        "dec(3,1) '$x': $x"]),
    ("SELECT s.\"T\" '$x', mood /* c */ '$x', jsonb '$x', f(1) '$x', json '{\"a\": $x}'", [
        "s.\"T\" '$x': $x", "mood /* c */ '$x': $x", "jsonb '$x': $x", "f(1) '$x': $x",
        "json '{\"a\": $x}': $x"]),
    ("SELECT a LIKE '$x', a NOT ILIKE '$x' ESCAPE '$y', a AT TIME ZONE '$x', a IS DISTINCT FROM '$x'", [
        "'$x': $x", "'$x': $x", "'$y': $y", "'$x': $x", "'$x': $x"]),
    ("SELECT (1) || '$x', a[1] || '$x', CASE WHEN '$x' = 'a' THEN '$x' ELSE '$x' END", ["'$x': $x"] * 5),
    ("SELECT OVERLAY('$x' PLACING '$x' FROM 1), json_object('k' VALUE '$x'), trim(both '$x' from '$x')",
        ["'$x': $x"] * 5),
    ("INSERT INTO t VALUES ('$x', 1) ON CONFLICT DO UPDATE SET a = '$x' RETURNING '$x'", ["'$x': $x"] * 3),
    ("COMMENT ON TABLE t IS 'a $x'", ["'a $x': $x"]),
    ("CREATE VIEW v AS SELECT interval '$x days'", ["'$x days': $x"]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "shown"), LITERALS)
def test_literals(sql: str, shown: list[str]) -> None:
    assert _literals(sql, "x", "y") == shown


@pytest.mark.parametrize(
    "sql", ["SELECT EXTRACT('$x' FROM now())", "SELECT * FROM json_table('{}', '$x' COLUMNS (a int)) AS j"]
)
def test_literals_where_only_a_constant_can_stand(sql: str) -> None:
    found = _analyse(sql)
    assert (found.problems, found.references, found.literals) == ((), (), ())
    assert [found.sql[one.start : one.end] for one in found.fixed] == ["$x"]


def test_literals_among_others_that_are_fixed() -> None:
    sql = "SELECT EXTRACT('$x' FROM now()), '$x', date '$x', a AT TIME ZONE '$x' FROM t"
    assert _literals(sql, "x") == ["'$x': $x", "date '$x': $x", "'$x': $x"]


def test_many_literals_take_no_long() -> None:
    texts = ", ".join(["'a $x'", "date '$x'"] * 500)
    assert len(_literals(f"SELECT EXTRACT('$x' FROM a), {texts}", "x")) == 1_000
    assert len(_literals("SELECT '" + "$x$y$" * 30_000 + "'", "x", "y")) == 1


def test_parts_of_an_error() -> None:
    reference = _one("SELECT $x.error.sqlstate?>'1'")
    assert (reference.use, reference.column, reference.optional) == (Use.ERROR, "sqlstate", True)
    assert _one("SELECT $x.error").use is Use.VALUE
    assert _one("SELECT $x.error.code").column == "error"
    assert _one("SELECT $error.message").column == "message"


def test_subscripts_and_fields_of_a_reference() -> None:
    assert _codes("SELECT $x[1], ($x).a, $x.b[2:3], $x ? 'key', $x?->'a'") == []
