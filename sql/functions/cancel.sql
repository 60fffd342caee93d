-- Asks for the end of an instance: one row in the caller's transaction, which no worker has to wait for.
-- The message is the same when it has ended already; then nothing is stored. Locks: none (see df._wake).
CREATE OR REPLACE FUNCTION df.cancel(instance_id text, reason text DEFAULT 'Cancelled by user') RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    said text := pg_catalog.left(coalesce(reason, 'Cancelled by user'), 10000);
    ended boolean;
BEGIN
    SELECT i.completed_at IS NOT NULL INTO ended FROM df.instances i WHERE i.id = instance_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Instance not found or access denied: %', coalesce(instance_id, 'NULL') USING ERRCODE = 'P0002',
            HINT = 'SELECT id, label FROM df.instances shows yours.';
    END IF;
    IF NOT ended THEN
        INSERT INTO df.requests (instance_id, kind, reason) VALUES (instance_id, 'cancel', said);
        PERFORM df._wake();
    END IF;
    RETURN pg_catalog.format('Instance %s cancelled: %s', instance_id, said);
END $$;
