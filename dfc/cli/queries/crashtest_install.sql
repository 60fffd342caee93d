-- What a crash test adds to its scratch database, in a schema of its own: a gate that holds the transaction in which
-- a record is written at its commit, and functions that read tables whatever their columns are.
-- Locks: those of CREATE TRIGGER on df.checkpoints, df.map_items and df.attempts_made. The gate waits for the advisory lock of the
-- session that has put the path up, and raises when it gets it: what was held rolls back.
CREATE SCHEMA dfc_crashtest;
GRANT USAGE ON SCHEMA dfc_crashtest TO PUBLIC;

-- What is held: the record of a path, or, with `failing`, that of a failed attempt at it; of the instance under test, or,
-- with `called`, of others.
CREATE TABLE dfc_crashtest.gates (
    path text NOT NULL, failing boolean NOT NULL, instance text NOT NULL, called boolean NOT NULL);

CREATE FUNCTION dfc_crashtest.hold() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    recorded text;
    whose text;
BEGIN
    IF NOT EXISTS (SELECT FROM dfc_crashtest.gates) THEN
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'map_items' THEN
        SELECT m.path || '[' || NEW.item || ']', m.instance_id INTO recorded, whose FROM df.maps m WHERE m.map = NEW.map;
    ELSE
        recorded := NEW.path;
        whose := NEW.instance_id;
    END IF;
    IF EXISTS (SELECT FROM dfc_crashtest.gates g
               WHERE g.path = recorded COLLATE "C" AND g.failing = (TG_TABLE_NAME = 'attempts_made')
                 AND g.called = (g.instance <> whose COLLATE "C")) THEN
        PERFORM pg_advisory_xact_lock(1684431667, -1);
        RAISE EXCEPTION 'crashtest: the worker was killed at this commit';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER dfc_crashtest AFTER INSERT ON df.checkpoints
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dfc_crashtest.hold();

CREATE CONSTRAINT TRIGGER dfc_crashtest AFTER UPDATE ON df.map_items
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dfc_crashtest.hold();

CREATE CONSTRAINT TRIGGER dfc_crashtest AFTER INSERT OR UPDATE ON df.attempts_made
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.begun_at IS NULL) EXECUTE FUNCTION dfc_crashtest.hold();

-- How many rows a table has, and a number that is the same for the same rows in any order.
CREATE FUNCTION dfc_crashtest.digest(of text, columns text[], OUT rows bigint, OUT digest numeric)
LANGUAGE plpgsql AS $$
DECLARE
    taken text := (SELECT coalesce(string_agg(format('%I::text', c), ', ' ORDER BY n), 'NULL')
                   FROM unnest(columns) WITH ORDINALITY AS u(c, n));
BEGIN
    EXECUTE format('SELECT count(*), coalesce(sum(pg_catalog.hashtextextended(ROW(%s)::text, 0)), 0) FROM %s', taken, of)
    INTO rows, digest;
END $$;

-- The rows of a table, each as the array of its columns' texts.
CREATE FUNCTION dfc_crashtest.rows(of text, columns text[]) RETURNS SETOF text[]
LANGUAGE plpgsql AS $$
DECLARE
    taken text := (SELECT coalesce(string_agg(format('%I::text', c), ', ' ORDER BY n), 'NULL::text')
                   FROM unnest(columns) WITH ORDINALITY AS u(c, n));
BEGIN
    RETURN QUERY EXECUTE format('SELECT ARRAY[%s] FROM %s', taken, of);
END $$;
