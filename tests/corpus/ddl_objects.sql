CREATE VIEW n1 AS SELECT * FROM films WHERE kind = 'Comedy'

CREATE OR REPLACE VIEW vista AS SELECT text 'Hello World' AS hello

CREATE TEMP VIEW n1 (a, b) WITH (security_barrier) AS VALUES (1, 2)

CREATE VIEW n1 WITH (security_invoker = true) AS SELECT * FROM films WHERE did > 1 WITH LOCAL CHECK OPTION

CREATE RECURSIVE VIEW public.nums_1_100 (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM nums_1_100 WHERE n < 100

ALTER VIEW comedies ALTER COLUMN kind SET DEFAULT 'Comedy'

ALTER VIEW IF EXISTS comedies SET (security_barrier = true)

ALTER VIEW comedies RENAME COLUMN kind TO sort

DROP VIEW IF EXISTS comedies CASCADE

CREATE MATERIALIZED VIEW IF NOT EXISTS n1 (a) WITH (fillfactor = 60) AS SELECT did FROM films WITH NO DATA

ALTER MATERIALIZED VIEW order_summary RENAME TO summary

REFRESH MATERIALIZED VIEW order_summary

REFRESH MATERIALIZED VIEW CONCURRENTLY order_summary WITH DATA

DROP MATERIALIZED VIEW order_summary

CREATE SEQUENCE n1 START 101

CREATE SEQUENCE IF NOT EXISTS n1 AS smallint INCREMENT BY 2 MINVALUE 1 NO MAXVALUE START WITH 3 CACHE 10 NO CYCLE OWNED BY films.did

ALTER SEQUENCE serial RESTART WITH 105 OWNED BY NONE

ALTER SEQUENCE IF EXISTS serial RENAME TO series

DROP SEQUENCE serial

CREATE TYPE n1 AS (f1 int, f2 text COLLATE "C")

CREATE TYPE n1 AS ENUM ('new', 'open', 'closed')

CREATE TYPE n1 AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = n1_multi)

CREATE TYPE n1

ALTER TYPE mood ADD VALUE IF NOT EXISTS 'orange' AFTER 'sad'

ALTER TYPE mood RENAME VALUE 'sad' TO 'mauve'

ALTER TYPE complex ADD ATTRIBUTE f3 int CASCADE, DROP ATTRIBUTE IF EXISTS nothing

ALTER TYPE complex RENAME TO complicated

DROP TYPE IF EXISTS floatrange, nothing CASCADE

CREATE DOMAIN n1 AS text COLLATE "C" DEFAULT 'x' CONSTRAINT short CHECK (length(VALUE) < 5) NOT NULL

ALTER DOMAIN postal_code SET NOT NULL

ALTER DOMAIN postal_code ADD CONSTRAINT zipchk CHECK (char_length(VALUE) = 5) NOT VALID

ALTER DOMAIN postal_code DROP CONSTRAINT IF EXISTS nothing

DROP DOMAIN postal_code

CREATE SCHEMA n1 AUTHORIZATION miriam

CREATE SCHEMA IF NOT EXISTS AUTHORIZATION CURRENT_USER

CREATE SCHEMA hollywood CREATE TABLE films (title text, release date) CREATE VIEW winners AS SELECT title, release FROM films

ALTER SCHEMA app RENAME TO application

DROP SCHEMA IF EXISTS app CASCADE

CREATE FUNCTION n1(integer, integer) RETURNS integer AS 'select $1 + $2;' LANGUAGE SQL IMMUTABLE RETURNS NULL ON NULL INPUT

CREATE FUNCTION n1(a integer, b integer) RETURNS integer LANGUAGE SQL IMMUTABLE RETURNS NULL ON NULL INPUT RETURN a + b

CREATE OR REPLACE FUNCTION n1(i integer) RETURNS integer AS $$ BEGIN RETURN i + 1; END; $$ LANGUAGE plpgsql

CREATE FUNCTION n1(in int, out f1 int, out f2 text) AS $$ SELECT $1, CAST($1 AS text) || ' is text' $$ LANGUAGE SQL

CREATE FUNCTION n1(VARIADIC arr numeric[], OUT total numeric) LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 5 LEAKPROOF SECURITY DEFINER SET search_path = app, pg_temp AS 'SELECT sum(x) FROM unnest(arr) x'

CREATE FUNCTION n1(int) RETURNS TABLE (f1 int, f2 text) AS $$ SELECT $1, 'x' $$ LANGUAGE SQL ROWS 10

CREATE FUNCTION n1(a int DEFAULT 1, b int = 2) RETURNS SETOF int BEGIN ATOMIC SELECT a; SELECT a + b; END

CREATE FUNCTION n1() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF TG_OP = 'INSERT' THEN NEW.name := upper(NEW.name); COMMIT; END IF;
  EXECUTE format('SELECT $1 + %s', 1) USING 1;
  RETURN NEW;
END $body$

CREATE FUNCTION n1(anyelement, anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT $1'

ALTER FUNCTION add_em(integer, integer) OWNER TO miriam

ALTER FUNCTION add_em(integer, integer) SET search_path = app, pg_temp

ALTER FUNCTION add_em RENAME TO plus

ALTER ROUTINE add_em(integer, integer) STABLE RESET ALL

DROP FUNCTION add_em(integer, integer)

DROP FUNCTION IF EXISTS mleast, getfoo(int) CASCADE

CREATE PROCEDURE n1(a integer, INOUT b integer) LANGUAGE plpgsql AS $$ BEGIN b := a; COMMIT; END $$

CREATE OR REPLACE PROCEDURE n1(a integer) LANGUAGE SQL BEGIN ATOMIC INSERT INTO actors VALUES (a, 'x'); END

ALTER PROCEDURE insert_data(integer, integer) SECURITY DEFINER

DROP PROCEDURE insert_data

CREATE AGGREGATE n1 (complex) (sfunc = complex_add, stype = complex, initcond = '(0,0)')

CREATE AGGREGATE n1 (float8 ORDER BY anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra)

ALTER AGGREGATE my_sum(int) RENAME TO your_sum

DROP AGGREGATE my_sum(int)

CREATE TRIGGER n1 BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION stamp()

CREATE OR REPLACE TRIGGER n1 BEFORE UPDATE OF balance OR INSERT ON accounts FOR EACH ROW WHEN (NEW.balance IS DISTINCT FROM 0) EXECUTE PROCEDURE stamp()

CREATE TRIGGER n1 AFTER UPDATE ON accounts REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION stamp()

CREATE CONSTRAINT TRIGGER n1 AFTER DELETE ON accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stamp()

CREATE TRIGGER n1 INSTEAD OF INSERT ON comedies FOR EACH ROW EXECUTE FUNCTION stamp('with', 1, arguments)

ALTER TRIGGER stamped ON films RENAME TO stamping

DROP TRIGGER IF EXISTS stamped ON films

CREATE EVENT TRIGGER n1 ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION ddl_happens()

CREATE RULE n1 AS ON UPDATE TO distributors WHERE NEW.did > 5 DO INSTEAD (DELETE FROM actors; INSERT INTO actors VALUES (OLD.did, 'x'))

CREATE OR REPLACE RULE n1 AS ON INSERT TO distributors DO NOTHING

ALTER RULE notify_me ON actors RENAME TO notify_all

DROP RULE notify_me ON actors

CREATE POLICY n1 ON accounts AS RESTRICTIVE FOR UPDATE TO miriam, CURRENT_USER USING (balance > 0) WITH CHECK (balance >= 0)

ALTER POLICY only_own ON accounts TO PUBLIC USING (true)

DROP POLICY only_own ON accounts

CREATE STATISTICS n1 (ndistinct, mcv) ON kind, did FROM films

CREATE STATISTICS ON date_trunc('month', date_prod), did FROM films

ALTER STATISTICS films_stats SET STATISTICS 500

DROP STATISTICS IF EXISTS films_stats

CREATE PUBLICATION n1 FOR TABLE films WHERE (did > 5), TABLES IN SCHEMA app WITH (publish = 'insert, update')

CREATE PUBLICATION n1 FOR ALL TABLES

ALTER PUBLICATION mypublication ADD TABLE actors

DROP PUBLICATION mypublication

CREATE SUBSCRIPTION n1 CONNECTION 'host=/nowhere dbname=x' PUBLICATION p WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE)

--! 25001
CREATE SUBSCRIPTION n1 CONNECTION 'host=/nowhere' PUBLICATION p, q

--! 42704
ALTER SUBSCRIPTION nothing DISABLE

CREATE CAST (mood AS integer) WITH INOUT AS ASSIGNMENT

CREATE CAST (varchar AS bytea) WITHOUT FUNCTION AS IMPLICIT

DROP CAST IF EXISTS (mood AS text)

CREATE COLLATION n1 (LOCALE = 'C', PROVIDER = libc)

CREATE COLLATION IF NOT EXISTS n1 FROM "C"

ALTER COLLATION my_collation RENAME TO your_collation

CREATE CONVERSION n1 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8

DROP CONVERSION my_conversion

CREATE OPERATOR @#@ (leftarg = integer, rightarg = integer, function = int4eq, commutator = OPERATOR(@#@), negator = #@#, restrict = eqsel, hashes, merges)

ALTER OPERATOR + (complex, complex) OWNER TO miriam

DROP OPERATOR === (integer, integer)

CREATE OPERATOR CLASS n1 FOR TYPE int4 USING btree FAMILY my_family AS OPERATOR 1 < (int, int), OPERATOR 3 = FOR SEARCH, FUNCTION 1 btint4cmp(int, int), FUNCTION 4 (int, int) btequalimage(oid)

CREATE OPERATOR FAMILY n1 USING hash

ALTER OPERATOR FAMILY my_family USING btree ADD OPERATOR 1 < (int4, int2), FUNCTION 1 btint42cmp(int4, int2)

DROP OPERATOR FAMILY my_family USING btree

CREATE ACCESS METHOD n1 TYPE TABLE HANDLER heap_tableam_handler

CREATE TEXT SEARCH CONFIGURATION n1 (PARSER = "default")

--! 23505
ALTER TEXT SEARCH CONFIGURATION my_config ADD MAPPING FOR int WITH simple

ALTER TEXT SEARCH CONFIGURATION my_config ALTER MAPPING REPLACE simple WITH english_stem

CREATE TEXT SEARCH DICTIONARY n1 (TEMPLATE = snowball, LANGUAGE = russian, StopWords = english)

ALTER TEXT SEARCH DICTIONARY my_dict (StopWords = english)

DROP TEXT SEARCH CONFIGURATION IF EXISTS my_config

CREATE FOREIGN DATA WRAPPER n1 OPTIONS (debug 'true')

CREATE SERVER n1 TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER dummy OPTIONS (host 'foo', dbname 'foodb')

CREATE USER MAPPING IF NOT EXISTS FOR miriam SERVER film_server OPTIONS (user 'bob', password 'secret')

CREATE FOREIGN TABLE n1 (code char(5) OPTIONS (column_name 'c') NOT NULL, title text) SERVER film_server OPTIONS (t 'x')

ALTER FOREIGN TABLE remote_films ALTER COLUMN code SET NOT NULL

ALTER SERVER film_server OPTIONS (ADD host 'x')

DROP FOREIGN TABLE remote_films

DROP SERVER IF EXISTS film_server CASCADE

DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER film_server

--! 55000
IMPORT FOREIGN SCHEMA foreign_films LIMIT TO (actors, directors) FROM SERVER film_server INTO app

CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog

ALTER EXTENSION plpgsql UPDATE

DROP EXTENSION IF EXISTS nothing CASCADE

--! 42704
CREATE TRANSFORM FOR complex LANGUAGE plperl (FROM SQL WITH FUNCTION f(internal))

--! 22023
SECURITY LABEL FOR selinux ON TABLE films IS 'system_u:object_r:sepgsql_table_t:s0'

COMMENT ON TABLE films IS 'This is my table.'

COMMENT ON COLUMN films.kind IS NULL

COMMENT ON FUNCTION add_em(integer, integer) IS 'Adds them'

COMMENT ON CONSTRAINT firstkey ON films IS E'a\nkey'

COMMENT ON OPERATOR === (int, int) IS 'equal'

COMMENT ON TRIGGER stamped ON films IS $$x$$

COMMENT ON INDEX films_kind IS 'x'
