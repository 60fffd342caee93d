# ruff: noqa: E501
"""Statements of every command, with what the analysis has to say of them. The tests try each on a server.

A case is kind, form (`w`ith, `q`uery, `e`xecute, `a`utocommit), returns (`r`ows, `c`ount), SQL. The
statements run against SETUP, each in a transaction that is rolled back. `!` in front of the form: the
analysis is checked, the statement cannot be run on the test's server (it needs what is not there).
"""

from __future__ import annotations

from dfc.compiler.plan import Form, Returns

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, a int, name text, at timestamptz DEFAULT now());
INSERT INTO t SELECT g, g, 'n' || g FROM generate_series(1, 20) g;
CREATE TABLE u (id int PRIMARY KEY, a int);
INSERT INTO u SELECT g, g FROM generate_series(1, 5) g;
CREATE TABLE empty_table (id int);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE clustered (id int PRIMARY KEY);
CREATE TABLE defaults (id int DEFAULT 1);
CREATE VIEW v AS SELECT id, a FROM t;
CREATE MATERIALIZED VIEW mv AS SELECT id FROM t;
CREATE UNIQUE INDEX mv_id ON mv (id);
CREATE SEQUENCE s;
CREATE INDEX t_a ON t (a);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (x int, y int);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION f(x int DEFAULT 1) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT x + 1';
CREATE PROCEDURE p(x int) LANGUAGE plpgsql AS 'BEGIN PERFORM x; END';
CREATE PROCEDURE p_out(INOUT x int) LANGUAGE plpgsql AS 'BEGIN x := x + 1; END';
CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION trig();
CREATE ROLE somebody;
CREATE SCHEMA other;
CREATE POLICY pol ON t USING (true);
CREATE RULE ru AS ON INSERT TO empty_table WHERE new.id < 0 DO INSTEAD NOTHING;
CREATE STATISTICS st (dependencies) ON id, a FROM t;
CREATE PUBLICATION pub FOR TABLE t;
CREATE AGGREGATE agg (int) (sfunc = int4pl, stype = int);
CREATE TEXT SEARCH CONFIGURATION tsc (COPY = simple);
CREATE TEXT SEARCH DICTIONARY tsd (TEMPLATE = simple);
CREATE COLLATION coll FROM "C";
CREATE FOREIGN DATA WRAPPER fdw;
CREATE SERVER srv FOREIGN DATA WRAPPER fdw;
CREATE USER MAPPING FOR CURRENT_USER SERVER srv;
CREATE FOREIGN TABLE ft (id int) SERVER srv;
CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
CREATE OPERATOR FAMILY fam USING btree;
CREATE CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE EVENT TRIGGER et ON ddl_command_start WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION et_f();
"""

BEFORE_SETUP = "CREATE FUNCTION et_f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"

_CASES = r"""
select | w r | SELECT 1
select | w r | SELECT
select | w r | ((SELECT 1 AS x, 2 AS x))
select | w r | SELECT f(2), now(), 'a' || E'\n' "Odd Name"
select | w r | SELECT extract(year FROM now()), substring('abc' FROM 2), trim(both 'x' FROM 'xax')
select | w r | SELECT 1 IS DISTINCT FROM 2, 1 IS NOT DISTINCT FROM 2, overlay('abc' PLACING 'x' FROM 1)
select | w r | SELECT 1 AS "from", 2 AS from, (ROW(1)).f1 AS into
select | q r | SELECT FROM t
select | q r | SELECT * FROM t
select | q r | SELECT (SELECT count(*) FROM t)
select | q r | SELECT EXISTS (TABLE t)
select | q r | TABLE t
select | q r | (TABLE t) UNION ALL (SELECT * FROM t)
select | q r | SELECT id FROM t UNION SELECT 2 EXCEPT SELECT 3 ORDER BY 1 LIMIT 5
select | q r | WITH x AS (SELECT 1 AS a) SELECT * FROM x
select | q r | WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r
select | q r | WITH recursive AS (SELECT 1 AS a) SELECT * FROM recursive
select | q r | WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p, q AS MATERIALIZED (SELECT 1) SELECT * FROM r, q
select | q r | WITH x AS (INSERT INTO u VALUES (90, 1) RETURNING id) SELECT * FROM x
select | q r | WITH x AS NOT MATERIALIZED (SELECT 1 a), y AS (DELETE FROM u RETURNING *) SELECT 1
select | q r | WITH x AS (WITH z AS (SELECT 1) SELECT * FROM z), y AS (UPDATE u SET a = 2) SELECT 1
select | q r | WITH y AS (MERGE INTO u USING t ON t.id = u.id WHEN MATCHED THEN DELETE RETURNING u.id) SELECT * FROM y
select | q r | (WITH insert AS (SELECT 1 AS delete) SELECT * FROM insert)
select | w r | WITH x AS (SELECT 1) (SELECT 2)
select | q r | WITH insert AS (SELECT 1 AS delete) SELECT delete FROM insert
select | w r | SELECT * FROM t FOR UPDATE
select | w r | SELECT * FROM t WHERE id < 5 ORDER BY id LIMIT 2 FOR NO KEY UPDATE OF t SKIP LOCKED
select | w r | SELECT id FROM t FOR KEY SHARE NOWAIT
select | q r | SELECT * FROM (SELECT id FROM t FOR UPDATE) x
select | q r | SELECT count(*) FROM t GROUP BY GROUPING SETS ((), (a)) HAVING count(*) > 0 WINDOW w AS (ORDER BY 1)
select | q r | SELECT g.x FROM generate_series(1, 2) WITH ORDINALITY AS g(x, o), LATERAL (SELECT g.x) l
select | q r | SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY[1, 2])) AS z(a, b)
select | q r | SELECT * FROM t TABLESAMPLE bernoulli (50) REPEATABLE (1)
select | q r | SELECT t.*, (t).id, id::text COLLATE "C", q.a[1:2] FROM t, (SELECT ARRAY[1, 2, 3] AS a) q(a)
select | w r | SELECT JSON_OBJECT('a': 1 RETURNING jsonb), 1 FETCH FIRST 1 ROW ONLY
select | w r | SELECT 'a' -- note
 'b', $$x;y$$, $tag$ -- $$ $tag$, U&'\0041', B'1', X'F', 1_000, 0x1F, .5, 1.e1
select | w r | SELECT 1; -- done
values | w r | VALUES (1, 'a'), (2, NULL)
values | w r | (VALUES (1)) ORDER BY 1
values | q r | VALUES ((SELECT count(*) FROM t))
values | q r | WITH x AS (SELECT 1 a) VALUES ((SELECT a FROM x))
insert | w c | INSERT INTO u VALUES (100, 1), (101, 2)
insert | w c | INSERT INTO u (id) SELECT 100 + id FROM t
insert | w c | INSERT INTO u SELECT 100 AS returning, 1
insert | w r | INSERT INTO u SELECT 100, 1 RETURNING *
insert | w r | INSERT INTO u VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = excluded.a RETURNING id, a
insert | w c | INSERT INTO clustered VALUES (1), (1) ON CONFLICT DO NOTHING
insert | w c | INSERT INTO defaults DEFAULT VALUES
insert | w c | WITH x AS (SELECT 200 AS id) INSERT INTO u SELECT id, 1 FROM x
insert | w c | INSERT INTO u WITH x AS (SELECT 200 AS id) SELECT id, 1 FROM x
insert | e c | WITH x AS (DELETE FROM t RETURNING id) INSERT INTO u SELECT id + 100, 1 FROM x
insert | q r | WITH x AS (DELETE FROM t RETURNING id) INSERT INTO u SELECT id + 100, 1 FROM x RETURNING id
insert | w r | INSERT INTO u OVERRIDING USER VALUE VALUES (300, 1) RETURNING WITH (OLD AS o, NEW AS n) o.id, n.id
update | w c | UPDATE t SET a = a + 1
update | w c | UPDATE t SET (a, name) = (SELECT 1, 'x') FROM u WHERE u.id = t.id
update | w r | UPDATE t AS q SET a = 1 WHERE id = 1 RETURNING q.id, a AS "A"
update | e c | WITH x AS (UPDATE u SET a = 1 RETURNING id) UPDATE t SET a = 2 FROM x WHERE x.id = t.id
update | q r | WITH x AS (UPDATE u SET a = 1 RETURNING id) UPDATE t SET a = 2 FROM x WHERE x.id = t.id RETURNING t.id
delete | w c | DELETE FROM t
delete | w c | DELETE FROM t * USING u WHERE t.id = u.id
delete | w r | DELETE FROM t WHERE id = 1 RETURNING *
delete | w c | WITH x AS (SELECT 1 AS id) DELETE FROM t USING x WHERE t.id = x.id
merge | e c | MERGE INTO u USING t ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = t.a WHEN NOT MATCHED THEN INSERT VALUES (t.id, t.a)
merge | e c | WITH x AS (SELECT 1 AS id) MERGE INTO u USING x ON x.id = u.id WHEN MATCHED THEN DELETE
merge | q r | MERGE INTO u USING t ON t.id = u.id WHEN MATCHED THEN DELETE RETURNING merge_action(), u.id
create table as | e c | SELECT 1 AS a INTO n1
create table as | e c | SELECT id, name INTO TEMPORARY TABLE n1 FROM t WHERE id > 3 ORDER BY id
create table as | e c | SELECT id INTO UNLOGGED other.n1 FROM t UNION SELECT 5
create table as | e c | WITH x AS (SELECT 1 AS a) SELECT a INTO "N 1" FROM x
create table as | e c | SELECT 1 IS DISTINCT FROM 2 AS a INTO TABLE n1
create table as | e c | (SELECT 1 AS a INTO n1) UNION SELECT 2
create table as | e c | CREATE TABLE n1 AS SELECT * FROM t
create table as | e c | CREATE TEMP TABLE IF NOT EXISTS n1 (x) WITH (fillfactor = 70) ON COMMIT DROP AS TABLE t WITH NO DATA
create table | e c | CREATE TABLE n1 (id int GENERATED ALWAYS AS IDENTITY, b int GENERATED ALWAYS AS (1 + 1) STORED)
create table | e c | CREATE UNLOGGED TABLE IF NOT EXISTS other.n1 (LIKE t INCLUDING ALL)
create table | e c | CREATE TABLE part2 PARTITION OF parted FOR VALUES FROM (10) TO (20)
create view | e c | CREATE OR REPLACE TEMP VIEW n1 AS SELECT 1 AS a
create view | e c | CREATE RECURSIVE VIEW n1 (n) AS SELECT 1
create materialized view | e c | CREATE MATERIALIZED VIEW n1 AS SELECT * FROM t
create index | e c | CREATE UNIQUE INDEX IF NOT EXISTS n1 ON t USING btree (lower(name) DESC) INCLUDE (a) WHERE a > 1
create index | a c | CREATE INDEX CONCURRENTLY n1 ON t (name)
create index | a c | CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS n1 ON t (id)
create index | e c | CREATE INDEX "concurrently" ON t (name)
create sequence | e c | CREATE TEMPORARY SEQUENCE n1 START 5
create schema | e c | CREATE SCHEMA n1 CREATE TABLE a (b int) CREATE VIEW c AS SELECT b FROM a
create type | e c | CREATE TYPE n1 AS ENUM ('a')
create domain | e c | CREATE DOMAIN n1 AS text CHECK (VALUE <> '')
create function | e c | CREATE OR REPLACE FUNCTION n1(int) RETURNS int LANGUAGE sql AS $$ SELECT $1; $$
create function | e c | CREATE FUNCTION n1(int) RETURNS int RETURN $1 + 1
create function | e c | CREATE FUNCTION n1(x int) RETURNS int BEGIN ATOMIC SELECT 1; SELECT x; END;
create procedure | e c | CREATE PROCEDURE n1() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'
create aggregate | e c | CREATE AGGREGATE n1 (int) (sfunc = int4pl, stype = int)
create trigger | e c | CREATE CONSTRAINT TRIGGER n1 AFTER INSERT ON t DEFERRABLE FOR EACH ROW EXECUTE FUNCTION trig()
create event trigger | e c | CREATE EVENT TRIGGER n1 ON sql_drop EXECUTE FUNCTION et_f()
create rule | e c | CREATE RULE n1 AS ON DELETE TO u DO ALSO (DELETE FROM empty_table; NOTIFY x)
create policy | e c | CREATE POLICY n1 ON t FOR SELECT TO PUBLIC USING (a > 0)
create role | e c | CREATE ROLE n1 NOLOGIN
create role | e c | CREATE USER n1
create role | e c | CREATE GROUP n1
create extension | e c | CREATE EXTENSION IF NOT EXISTS plpgsql
create statistics | e c | CREATE STATISTICS n1 ON id, a FROM t
create publication | e c | CREATE PUBLICATION n1 FOR ALL TABLES
create subscription | a c | CREATE SUBSCRIPTION n1 CONNECTION 'host=/nowhere' PUBLICATION pub
create subscription | e c | CREATE SUBSCRIPTION n1 CONNECTION 'host=/nowhere' PUBLICATION pub WITH (connect = false)
create cast | e c | CREATE CAST (mood AS int) WITH INOUT
create collation | e c | CREATE COLLATION n1 FROM "C"
create conversion | e c | CREATE DEFAULT CONVERSION other.n1 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8
create operator | e c | CREATE OPERATOR #### (leftarg = int, rightarg = int, function = int4eq)
create operator class | e c | CREATE OPERATOR CLASS n1 FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)
create operator family | e c | CREATE OPERATOR FAMILY n1 USING hash
create access method | e c | CREATE ACCESS METHOD n1 TYPE TABLE HANDLER heap_tableam_handler
create language | !e c | CREATE OR REPLACE TRUSTED PROCEDURAL LANGUAGE plpython HANDLER h
create transform | !e c | CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION h(internal))
create foreign data wrapper | e c | CREATE FOREIGN DATA WRAPPER n1
create server | e c | CREATE SERVER n1 FOREIGN DATA WRAPPER fdw
create foreign table | e c | CREATE FOREIGN TABLE n1 (a int) SERVER srv
create user mapping | e c | CREATE USER MAPPING FOR somebody SERVER srv
create text search configuration | e c | CREATE TEXT SEARCH CONFIGURATION n1 (COPY = simple)
create text search dictionary | e c | CREATE TEXT SEARCH DICTIONARY n1 (TEMPLATE = simple)
create tablespace | a c | CREATE TABLESPACE n1 LOCATION '/nowhere'
create database | a c | CREATE DATABASE n1
drop database | a c | DROP DATABASE IF EXISTS n1 WITH (FORCE)
drop tablespace | a c | DROP TABLESPACE IF EXISTS n1
drop index | e c | DROP INDEX t_a
drop index | a c | DROP INDEX CONCURRENTLY IF EXISTS t_a
drop table | e c | DROP TABLE IF EXISTS u, empty_table CASCADE
drop view | e c | DROP VIEW v
drop materialized view | e c | DROP MATERIALIZED VIEW mv
drop function | e c | DROP FUNCTION f(int)
drop routine | e c | DROP ROUTINE p(int)
drop role | e c | DROP USER somebody
drop owned | e c | DROP OWNED BY somebody
drop user mapping | e c | DROP USER MAPPING FOR CURRENT_USER SERVER srv
drop subscription | !a c | DROP SUBSCRIPTION n1
drop text search configuration | e c | DROP TEXT SEARCH CONFIGURATION tsc
drop operator family | e c | DROP OPERATOR FAMILY fam USING btree
drop trigger | e c | DROP TRIGGER tr ON u
alter table | e c | ALTER TABLE t ADD COLUMN b int DEFAULT 1, ALTER a SET NOT NULL
alter table | e c | ALTER TABLE t RENAME a TO concurrently_
alter table | a c | ALTER TABLE parted DETACH PARTITION part1 CONCURRENTLY
alter table | e c | ALTER TABLE parted DETACH PARTITION part1
alter index | e c | ALTER INDEX t_a RENAME TO t_b
alter view | e c | ALTER VIEW v RENAME TO w
alter sequence | e c | ALTER SEQUENCE s RESTART
alter type | e c | ALTER TYPE mood ADD VALUE 'so-so'
alter role | e c | ALTER USER somebody SET role = 'postgres'
alter database | e c | ALTER DATABASE postgres SET work_mem = '4MB'
alter database | a c | ALTER DATABASE postgres SET TABLESPACE pg_default
alter system | a c | ALTER SYSTEM SET work_mem = '4MB'
alter default privileges | e c | ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO somebody
alter function | e c | ALTER FUNCTION f(int) STABLE
alter large object | !e c | ALTER LARGE OBJECT 1 OWNER TO somebody
alter subscription | !a c | ALTER SUBSCRIPTION n1 REFRESH PUBLICATION
alter subscription | !a c | ALTER SUBSCRIPTION n1 SET PUBLICATION pub
alter subscription | !e c | ALTER SUBSCRIPTION n1 SET PUBLICATION pub WITH (refresh = false)
alter subscription | !e c | ALTER SUBSCRIPTION n1 DISABLE
truncate table | e c | TRUNCATE t, u RESTART IDENTITY CASCADE
comment | e c | COMMENT ON TABLE t IS 'x'
security label | !e c | SECURITY LABEL FOR x ON TABLE t IS 'y'
grant | e c | GRANT SELECT (id), UPDATE ON t TO somebody WITH GRANT OPTION
grant role | e c | GRANT somebody TO CURRENT_USER WITH ADMIN OPTION
revoke | e c | REVOKE ALL ON ALL TABLES IN SCHEMA public FROM somebody
revoke role | e c | REVOKE somebody FROM CURRENT_USER
refresh materialized view | e c | REFRESH MATERIALIZED VIEW CONCURRENTLY mv
refresh materialized view | e c | REFRESH MATERIALIZED VIEW mv WITH NO DATA
analyze | e c | ANALYZE t (a)
analyze | e c | ANALYSE VERBOSE
vacuum | a c | VACUUM
vacuum | a c | VACUUM (ANALYZE, VERBOSE) t
vacuum | a c | VACUUM FULL FREEZE t
cluster | a c | CLUSTER
cluster | a c | CLUSTER VERBOSE
cluster | a c | CLUSTER (VERBOSE)
cluster | e c | CLUSTER clustered USING clustered_pkey
cluster | e c | CLUSTER (VERBOSE) clustered USING clustered_pkey
reindex | e c | REINDEX TABLE t
reindex | e c | REINDEX (VERBOSE) INDEX t_a
reindex | e c | REINDEX (CONCURRENTLY false) INDEX t_a
reindex | a c | REINDEX TABLE CONCURRENTLY t
reindex | a c | REINDEX (VERBOSE, CONCURRENTLY) INDEX t_a
reindex | a c | REINDEX SCHEMA public
reindex | a c | REINDEX DATABASE
reindex | a c | REINDEX SYSTEM postgres
checkpoint | e c | CHECKPOINT
load | !e c | LOAD 'plpgsql'
lock table | e c | LOCK TABLE t, u IN ACCESS EXCLUSIVE MODE NOWAIT
listen | e c | LISTEN x
unlisten | e c | UNLISTEN *
notify | e c | NOTIFY x, 'y'
set | e c | SET work_mem = '4MB'
set | e c | SET LOCAL TIME ZONE 'UTC'
set | e c | SET SESSION search_path TO other, public
set | e c | SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
set constraints | e c | SET CONSTRAINTS ALL DEFERRED
reset | e c | RESET ALL
reset | e c | RESET work_mem
show | q r | SHOW work_mem
show | q r | SHOW ALL
discard all | a c | DISCARD ALL
discard plans | e c | DISCARD PLANS
discard temp | e c | DISCARD TEMPORARY
do | e c | DO $$ BEGIN PERFORM $1 FROM t; EXCEPTION WHEN OTHERS THEN NULL; END $$
do | e c | DO LANGUAGE plpgsql 'BEGIN NULL; END'
call | e c | CALL p(1)
call | e c | CALL p_out(x => 1 + 1)
explain | q r | EXPLAIN SELECT * FROM t
explain | q r | EXPLAIN (ANALYZE, FORMAT JSON) INSERT INTO u VALUES (100, 1)
explain | q r | EXPLAIN VERBOSE CREATE TABLE n1 AS SELECT 1
prepare | e c | PREPARE n1 (int) AS SELECT $1
deallocate all | e c | DEALLOCATE ALL
deallocate | !e c | DEALLOCATE PREPARE n1
execute | !e c | EXECUTE n1 (1)
declare cursor | e c | DECLARE n1 SCROLL CURSOR FOR SELECT * FROM t
close cursor all | e c | CLOSE ALL
close cursor | !e c | CLOSE n1
fetch | !q r | FETCH ALL FROM n1
move | !e c | MOVE NEXT IN n1
copy | e c | COPY t TO PROGRAM 'cat > /dev/null'
copy | e c | COPY (SELECT * FROM t) TO '/dev/null' WITH (FORMAT csv, HEADER)
copy | e c | COPY u FROM '/dev/null'
import foreign schema | !e c | IMPORT FOREIGN SCHEMA a FROM SERVER srv INTO other
reassign owned | e c | REASSIGN OWNED BY somebody TO CURRENT_USER
"""

_FORMS = {"w": Form.WITH, "q": Form.QUERY, "e": Form.EXECUTE, "a": Form.AUTOCOMMIT}
_RETURNS = {"r": Returns.ROWS, "c": Returns.COUNT}


class Case:
    """One statement and what is to be found."""

    def __init__(self, line: str) -> None:
        kind, how, sql = line.split(" | ", 2)
        form, returns = how.removeprefix("!").split()
        self.sql = sql
        self.kind = kind
        self.form = _FORMS[form]
        self.returns = _RETURNS[returns]
        self.runs = not how.startswith("!")

    def __repr__(self) -> str:
        return self.sql[:60]


def _cases() -> list[Case]:
    lines: list[str] = []
    for line in _CASES.strip().split("\n"):
        if line.startswith(" "):
            lines[-1] += "\n" + line
        else:
            lines.append(line)
    return [Case(line) for line in lines]


CASES = _cases()
