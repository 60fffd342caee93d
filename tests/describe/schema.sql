-- What the tests of this folder work with.
CREATE SCHEMA app;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN amount AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, born date, mood mood, tags text[]);
CREATE TABLE app.orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint REFERENCES users, total amount,
  at timestamptz DEFAULT now(), doc jsonb, span int4range
);
CREATE VIEW rich AS SELECT u.id, sum(o.total) AS total FROM users u JOIN app.orders o ON o.user_id = u.id GROUP BY u.id;
CREATE SEQUENCE counter;
CREATE FUNCTION taxed(amount numeric, rate numeric DEFAULT 0.2) RETURNS numeric LANGUAGE sql AS 'SELECT amount * (1 + rate)';
CREATE FUNCTION setup() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TABLE IF NOT EXISTS made_by_setup (id int); END';
CREATE FUNCTION effect() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO users VALUES (99, ''x''); RETURN nextval(''counter''); END';
CREATE PROCEDURE archive(before date, INOUT moved int DEFAULT 0) LANGUAGE plpgsql AS 'BEGIN moved := 1; END';
