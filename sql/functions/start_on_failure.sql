-- Starts what the definition of a failed instance says (on_failure), for the same submitter, with what has failed as its
-- input. It is an instance without a definition, so that its own failure starts nothing; nor does that of what it has called
-- start it once more, which would go on for ever.
-- Locks: none that another session could wait for. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._start_on_failure(instance text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    INSERT INTO df.instances (expression, label, input, submitted_by, search_path, time_zone, queue, priority)
    SELECT d.on_failure, left(i.label, 987) || ' (on failure)',
           jsonb_build_object('instance_id', i.id, 'label', i.label, 'definition', i.definition, 'status', i.status,
                              'error', i.error, 'input', i.input),
           i.submitted_by, i.search_path, i.time_zone, i.queue, i.priority
    FROM df.instances i
    JOIN df.definitions d ON d.owner = i.submitted_by AND d.name = i.definition AND d.version = i.definition_version AND NOT d.again
    WHERE i.id = instance AND d.on_failure IS NOT NULL AND NOT EXISTS (
        SELECT FROM df._callers(instance) AS c(id) JOIN df.instances o ON o.id = c.id
        WHERE o.definition IS NULL AND o.expression = d.on_failure AND o.input ->> 'definition' = i.definition);
    IF FOUND THEN
        PERFORM df._wake();
    END IF;
END $$;
