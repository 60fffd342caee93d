-- Starts the workflow of a df.call, for the submitter of the instance that calls: once for a path, since the child's id is
-- kept there. Queue and priority are those of the one that calls where its definition does not say.
-- Raises DX001 for a lost fence, 42704 for an unknown definition, 22023 for an input that it does not take, 54001 where
-- calls call each other without an end (a cancel goes down such a chain no faster than it grows), 55000 for a
-- definition that would wait for the place of who waits for it (docs/adr/0030-no-call-under-ones-own-key.md).
-- Locks: the fence, then the row of the mark.
CREATE OR REPLACE FUNCTION df._start_child(token bytea, instance text, path text, workflow text, input jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    child text;
    calls df.instances;
    called df.definitions;
    callers text[];
    holder text;
BEGIN
    PERFORM df._lock_fence($1, $2);
    SELECT k.other INTO child FROM df.marks k WHERE k.instance_id = $2 AND k.path = $3 AND k.kind = 'child';
    IF FOUND THEN
        RETURN child;
    END IF;
    SELECT i.* INTO calls FROM df.instances i WHERE i.id = $2;
    called := df._definition(calls.submitted_by, $4);
    callers := ARRAY(SELECT df._callers($2));
    IF cardinality(callers) >= df._nesting_levels_max() THEN
        RAISE EXCEPTION 'calls are nested deeper than % levels', df._nesting_levels_max() USING ERRCODE = '54001',
            DETAIL = format('It would be the call of "%s" by an instance that is called through %s others.', $4, df._nesting_levels_max()),
            HINT = 'End the recursion with df.if, or repeat with df.loop.';
    END IF;
    IF called.concurrency_key IS NOT NULL THEN
        SELECT f.instance_id INTO holder FROM df.fences f
        WHERE f.concurrency_key = called.concurrency_key AND f.instance_id = ANY ($2 || callers) LIMIT 1;
        IF holder IS NOT NULL THEN
            RAISE EXCEPTION 'workflow "%" is called under a concurrency key that its caller holds', $4 USING ERRCODE = '55000',
                DETAIL = format('Instance %s has "%s", and keeps it while it waits: where such calls have all places, each would wait for ever.',
                                holder, called.concurrency_key),
                HINT = 'Give one of the two another concurrency_key, or put what is called into the workflow that calls it.';
        END IF;
    END IF;
    INSERT INTO df.instances AS i (definition, input, submitted_by, database, search_path, time_zone, parent, queue, priority)
    VALUES ($4, df._input($4, called.params, $5, false), calls.submitted_by, calls.database, calls.search_path, calls.time_zone, $2,
            coalesce(called.queue, calls.queue), coalesce(called.priority, calls.priority))
    RETURNING i.id INTO child;
    INSERT INTO df.marks (instance_id, path, kind, other) VALUES ($2, $3, 'child', child);
    PERFORM df._wake();
    RETURN child;
END $$;

-- The instances that wait for this one, because they have called it, or one that has: from its own caller up to one that
-- nobody has called, no further than to the limit. Locks: none. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._callers(instance text) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE up(id, n) AS (
        SELECT i.parent, 1 FROM df.instances i WHERE i.id = $1 AND i.parent IS NOT NULL
        UNION ALL
        SELECT i.parent, u.n + 1 FROM up u JOIN df.instances i ON i.id = u.id
        WHERE i.parent IS NOT NULL AND u.n < df._nesting_levels_max()
    )
    SELECT u.id FROM up u
$$;
