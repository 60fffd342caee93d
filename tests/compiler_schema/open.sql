-- What people make in their databases that looks like PostgreSQL's own, or is written as nothing of it is.
-- The statements of open_valid.sql are legal beside it.
CREATE SCHEMA app;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE app.point3 AS (x float8, y float8, z float8);
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN tags AS text[];
CREATE TYPE floatrange AS RANGE (subtype = float8);
CREATE TYPE vec AS (n float8[]);

CREATE TABLE t (
    a int, b int, c text, count int, sum numeric, max text, min text, avg int, "order" int, "select" text, n int,
    x jsonb, arr int[], m mood, p app.point3, q pair, mail email, tag tags, d date, ts timestamptz, ok boolean,
    length int, name text, value int, user_id uuid, "Total" int, current int, rank int, row_number int
);
CREATE TABLE u (id int PRIMARY KEY, a int, title text, t_id int);
CREATE TABLE keyed (id int PRIMARY KEY, name text, n int, UNIQUE (name));
CREATE TABLE date (id int, day text);
CREATE TABLE app.t (a int, z int);
CREATE TABLE app.number (v int);
CREATE TABLE "Weird Name" ("Weird Column" int, "a.b" text);
CREATE TABLE stats (bucket int, s vec, v vec, w float8[]);
CREATE TABLE nested (id int, inner_row t, pairs pair[]);
CREATE TABLE gen (id int GENERATED ALWAYS AS IDENTITY, v int, twice int GENERATED ALWAYS AS (v * 2) STORED);
CREATE VIEW active AS SELECT a, b FROM t WHERE ok;

-- Functions with names of PostgreSQL's, and other arguments
CREATE FUNCTION length(int, int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2 + $3';
CREATE FUNCTION length(vec) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.0::float8';
CREATE FUNCTION upper(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION count(vec) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
CREATE FUNCTION sum(vec) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 2.0::float8';
CREATE FUNCTION sum(int[]) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 3::bigint';
CREATE FUNCTION avg(vec) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 2.0::float8';
CREATE FUNCTION stddev(vec) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 2.0::float8';
CREATE FUNCTION max(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
CREATE FUNCTION min(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT least($1, $2)';
CREATE FUNCTION row_number(vec) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
CREATE FUNCTION lag(vec) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.0::float8';
CREATE FUNCTION rank(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION generate_series(date, date) RETURNS SETOF date LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION generate_series(text, text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION unnest(vec) RETURNS float8 LANGUAGE sql AS 'SELECT 1.0::float8';
CREATE FUNCTION now(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION coalesce_all(VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT $1[1]';
CREATE FUNCTION string_agg(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION round(float8, int) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION array_agg(vec) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''::text';
CREATE FUNCTION nvl(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, $2)';
CREATE FUNCTION getdate() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT now()';
CREATE FUNCTION pair_sum(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a + $1.b';
CREATE FUNCTION full_name(t) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name';
CREATE FUNCTION label(u) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.title';
CREATE FUNCTION label_of(record) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1::text; END';
CREATE FUNCTION shout(anyelement) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1::text)';
CREATE FUNCTION two_rows() RETURNS TABLE (a int, b text) LANGUAGE sql AS 'SELECT 1, ''x''';
CREATE FUNCTION one_pair() RETURNS pair LANGUAGE sql AS 'SELECT 1, 2';
CREATE FUNCTION any_row() RETURNS record LANGUAGE sql AS 'SELECT 1, 2';
CREATE FUNCTION app.count() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.now() RETURNS text LANGUAGE sql AS 'SELECT ''then''';
CREATE FUNCTION app.row_number() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.sum(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION date(pair) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT current_date';
CREATE FUNCTION text(pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''x''::text';
CREATE FUNCTION is_big(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 5';
CREATE PROCEDURE tidy(day date, keep int DEFAULT 3) LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE now(int) LANGUAGE sql AS 'SELECT 1';

-- Aggregates of one's own, some with names of plain functions
CREATE FUNCTION later(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE AGGREGATE last(anyelement) (sfunc = later, stype = anyelement);
CREATE AGGREGATE median(float8) (sfunc = array_append, stype = float8[], initcond = '{}');
CREATE AGGREGATE upper(boolean) (sfunc = booland_statefunc, stype = boolean);
CREATE AGGREGATE abs(mood) (sfunc = enum_larger, stype = mood);
CREATE AGGREGATE upper(*) (sfunc = int8inc, stype = int8, initcond = '0');
CREATE AGGREGATE jsonb_array_length(text) (sfunc = textcat, stype = text, initcond = '');

-- Operators, also for PostgreSQL's own types
CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE FUNCTION plus(int, int[]) RETURNS int[] LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2';
CREATE FUNCTION plus(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2';
CREATE FUNCTION each_of(boolean, boolean) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 AND $2';
CREATE FUNCTION minus(timestamptz, int) RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT $1 - make_interval(days => $2)';
CREATE FUNCTION twice(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $1';
CREATE FUNCTION later_than(date, date) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE FUNCTION like_number(int, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text LIKE $2';
CREATE FUNCTION near(float8[], float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.0::float8';
CREATE FUNCTION add_pairs(pair, pair) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE OPERATOR == (LEFTARG = int, RIGHTARG = int, FUNCTION = same);
CREATE OPERATOR == (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE OPERATOR + (LEFTARG = int, RIGHTARG = int[], FUNCTION = plus);
CREATE OPERATOR + (LEFTARG = text, RIGHTARG = text, FUNCTION = plus);
CREATE OPERATOR + (LEFTARG = pair, RIGHTARG = pair, FUNCTION = add_pairs);
CREATE OPERATOR && (LEFTARG = boolean, RIGHTARG = boolean, FUNCTION = each_of);
CREATE OPERATOR - (LEFTARG = timestamptz, RIGHTARG = int, FUNCTION = minus);
CREATE OPERATOR + (LEFTARG = date, RIGHTARG = date, FUNCTION = later_than);
CREATE OPERATOR - (RIGHTARG = text, FUNCTION = twice);
CREATE OPERATOR ~~ (LEFTARG = int, RIGHTARG = text, FUNCTION = like_number);
CREATE OPERATOR <=> (LEFTARG = float8[], RIGHTARG = float8[], FUNCTION = near);

-- Casts, also between PostgreSQL's own types
CREATE FUNCTION of_number(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> 0';
CREATE FUNCTION of_boolean(boolean) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT current_date';
CREATE CAST (numeric AS boolean) WITH FUNCTION of_number(numeric) AS ASSIGNMENT;
CREATE CAST (text AS boolean) WITH INOUT AS ASSIGNMENT;
CREATE CAST (boolean AS date) WITH FUNCTION of_boolean(boolean);
CREATE CAST (int AS text) WITH INOUT AS IMPLICIT;
CREATE CAST (text AS int) WITH INOUT AS ASSIGNMENT;
