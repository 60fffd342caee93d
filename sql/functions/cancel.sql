-- Asks for the end of an instance: one row in the caller's transaction, which no worker has to wait for.
-- The message is the same when it has ended already, as pg_durable has it; then nothing is stored, and a notice says so.
-- Another one says when its undo steps are running already, which nothing stops. Locks: none (see df._wake).
CREATE OR REPLACE FUNCTION df.cancel(instance_id text, reason text DEFAULT 'Cancelled by user') RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    said text := pg_catalog.left(coalesce(reason, 'Cancelled by user'), 10000);
    ending text;
    ended boolean;
BEGIN
    SELECT i.completed_at IS NOT NULL, coalesce(k.value ->> 'status', i.status) INTO ended, ending
    FROM df.instances i LEFT JOIN df.marks k ON i.completed_at IS NULL AND k.instance_id = i.id AND k.path = '/decision'
    WHERE i.id = instance_id;
    IF NOT FOUND THEN
        PERFORM df._refuse_unknown(instance_id, 'Nothing was changed.');
    END IF;
    IF ended THEN
        RAISE NOTICE 'instance % had ended already: %', instance_id, ending USING HINT = 'Nothing was changed.';
    ELSE
        IF ending NOT IN ('pending', 'running') THEN
            RAISE NOTICE 'instance % is about to end already: %', instance_id, ending
                USING HINT = 'Its undo steps come to their end; nothing else runs any more.';
        END IF;
        INSERT INTO df.requests (instance_id, kind, reason) VALUES (instance_id, 'cancel', said);
        PERFORM df._wake();
    END IF;
    RETURN pg_catalog.format('Instance %s cancelled: %s', instance_id, said);
END $$;
