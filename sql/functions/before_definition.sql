-- The trigger in front of every insert into df.definitions: the version of a content is the one that it had before, or
-- the next. A row without an expression takes the name away, and has the number of what it takes away.
-- Locks: none. Two that make the next version at the same time: the second waits for the first, and fails (23505).
CREATE OR REPLACE FUNCTION df._before_definition() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before integer;
BEGIN
    IF NEW.name !~ '^[A-Za-z_][A-Za-z0-9_]*$' OR octet_length(NEW.name) > 63 THEN
        RAISE EXCEPTION 'the name of a definition is not valid' USING ERRCODE = '22023',
            DETAIL = 'A name is a letter (a to z) or underscore, then letters, digits and underscores.',
            HINT = 'Define it with SELECT df.define(name, workflow).';
    END IF;
    -- keep_finished is in it only where it is given: all others have the hash that they had when there was none.
    NEW.content_hash := CASE WHEN NEW.expression IS NOT NULL THEN sha256(convert_to((
        jsonb_build_array(NEW.expression, NEW.params, NEW.on_failure, NEW.queue, NEW.priority,
                          df._duration(NEW.timeout, 'df.define: timeout', false), NEW.concurrency_key, NEW.concurrency_limit)
        || CASE WHEN NEW.keep_finished IS NULL THEN '[]' ELSE jsonb_build_array(NEW.keep_finished) END)::text, 'UTF8')) END;
    SELECT d.version INTO before FROM df.definitions d
    WHERE d.owner = NEW.owner AND d.name = NEW.name AND d.content_hash = NEW.content_hash AND NOT d.again;
    NEW.again := before IS NOT NULL OR NEW.expression IS NULL;
    NEW.version := coalesce(before, (
        SELECT coalesce(max(d.version), 0) + CASE WHEN NEW.expression IS NULL THEN 0 ELSE 1 END
        FROM df.definitions d WHERE d.owner = NEW.owner AND d.name = NEW.name));
    NEW.created_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER before_definition BEFORE INSERT ON df.definitions
FOR EACH ROW EXECUTE FUNCTION df._before_definition();
