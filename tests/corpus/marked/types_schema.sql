CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE addr AS (street text, zip text);
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%');
CREATE SCHEMA ops;
CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, mood mood, age int, home addr, n posint, email mail, tags text[],
  span int4range, meta jsonb, at timestamptz DEFAULT now(), born date, big numeric(12,2), u uuid, b bytea, ok boolean, iv interval, small smallint, amounts bigint[]);
CREATE TABLE log (at timestamptz DEFAULT now(), msg text, n int, who bigint);
CREATE TABLE ops.jobs (id int PRIMARY KEY, state text, due date);
CREATE TABLE moods (m mood PRIMARY KEY, label text);
CREATE VIEW grown AS SELECT id, name, age FROM people WHERE age > 17;
CREATE FUNCTION needs_int(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION pair(OUT a int, OUT b text) LANGUAGE sql AS 'SELECT 1, ''x''::text';
CREATE FUNCTION everyone() RETURNS SETOF people LANGUAGE sql AS 'SELECT * FROM people';
CREATE FUNCTION tab(k int) RETURNS TABLE (x int, y text) LANGUAGE sql AS 'SELECT 1, ''y''::text';
CREATE FUNCTION feel(m mood) RETURNS text LANGUAGE sql AS 'SELECT m::text';
CREATE PROCEDURE bump(INOUT c int) LANGUAGE plpgsql AS 'BEGIN c := c + 1; END';
CREATE PROCEDURE quiet(a int) LANGUAGE plpgsql AS 'BEGIN NULL; END';
INSERT INTO people (id, name, mood, age, home, n, email, tags, span, meta, born, big, u, b, ok, iv, small, amounts) VALUES
 (1, 'Ann', 'ok', 30, ROW('Main St', '10'), 5, 'a@x', '{a,b}', '[1,5)', '{"k": 1, "s": "t"}', '2000-01-01', 12.50, '00000000-0000-0000-0000-000000000001', '\x01', true, '1 day', 3, '{1,2}'),
 (2, 'Bob', 'sad', 10, ROW('Side St', '20'), 6, 'b@x', '{}', '[2,3)', '{}', '2001-01-01', 1.25, '00000000-0000-0000-0000-000000000002', '\x02', false, '2 days', 4, '{}');
INSERT INTO ops.jobs VALUES (1, 'new', '2030-01-01');
