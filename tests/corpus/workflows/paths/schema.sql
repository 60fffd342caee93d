CREATE SCHEMA app; CREATE SCHEMA aux;
CREATE TABLE app.users (id int PRIMARY KEY, mail text); CREATE TYPE app.mood AS ENUM ('a', 'b'); CREATE TABLE aux.only_here (x app.mood);
CREATE FUNCTION app.f(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text'; CREATE FUNCTION public.f(date) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE SEQUENCE app.ids; CREATE PROCEDURE app.doit(x int) LANGUAGE sql AS 'SELECT 1';
DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app, aux, public', current_database()); END$$;
