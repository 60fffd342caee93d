-- Keeps a plan: pinned to this instance, and for every later start of the same expression with the same variables
-- (a plan with the instance's own id in it is for this one only).
-- An instance that has a plan keeps it. Locks: the fence, then the instance's row.
CREATE OR REPLACE FUNCTION df._store_plan(
    instance text, token bytea, compiler_version integer, plan jsonb, plan_hash text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    done record;
BEGIN
    PERFORM df._lock_fence(token, instance);
    UPDATE df.instances i SET plan = $4, plan_hash = $5, updated_at = clock_timestamp()
    WHERE i.id = instance AND i.plan IS NULL RETURNING i.expression_hash, i.variables INTO done;
    IF FOUND AND NOT coalesce(done.variables ? 'sys_instance_id', false) THEN
        INSERT INTO df.plans (expression_hash, variables_hash, compiler_version, plan, plan_hash)
        VALUES (done.expression_hash, df._variables_hash(done.variables), $3, $4, $5) ON CONFLICT DO NOTHING;
    END IF;
END $$;
