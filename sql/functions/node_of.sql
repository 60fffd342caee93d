-- A path taken apart (executor/paths.py): <frames><node id>, with what the node does behind it. Of `poll[17]/fetch/response`
-- the part inside of all rounds and items is `fetch/response`, and the node `fetch`. Without a SET clause, so that
-- PostgreSQL puts them in line. Locks: none.
CREATE OR REPLACE FUNCTION df._inside(path text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT pg_catalog.split_part(path, ']/', -1) $$;

CREATE OR REPLACE FUNCTION df._node_of(path text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT pg_catalog.split_part(pg_catalog.split_part(path, ']/', -1), '/', 1) $$;
