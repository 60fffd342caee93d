-- The trigger in front of every insert into df.instances: what a submitter must not choose is set here.
--
-- What df.start refuses because no version runs it yet is refused here too (0A000).
-- The id, the hash of the expression, the variables that it mentions and, when this expression has been compiled
-- before with the same values, its plan; and what it waits for where nobody is there to run it. The
-- defaults (submitted_by, search_path, time_zone) have been computed in the submitter's own context before;
-- the submitter has no right to name those columns, and the policy checks submitted_by once more afterwards.
-- Raises 3D000 and 42501 for a database where the submitter's steps cannot run. Locks: none (reads df.meta, df.vars, df.plans and df.workers).
CREATE OR REPLACE FUNCTION df._before_instance() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.database <> current_database() THEN
        PERFORM df._check_database(NEW.database, pg_get_userbyid(NEW.submitted_by::oid));
    END IF;
    IF NEW.priority <> 0 OR NEW.queue <> 'default' THEN
        RAISE EXCEPTION 'priority and queue of an instance are not executable yet' USING ERRCODE = '0A000',
            DETAIL = 'This version runs a workflow in the database where it was started, the oldest first.',
            HINT = 'Start it with SELECT df.start(workflow, label).';
    END IF;
    NEW.id := df._new_id();
    NEW.status := 'pending';
    NEW.expression_hash := sha256(convert_to(NEW.expression, 'UTF8'));
    SELECT jsonb_object_agg(v.name, v.value) INTO NEW.variables
    FROM (SELECT v.name, v.value FROM df.vars v
          WHERE v.owner = NEW.submitted_by AND v.name NOT IN ('sys_instance_id', 'sys_label')
            AND v.name ~ '^[A-Za-z_][A-Za-z0-9_]*$'
          UNION ALL VALUES ('sys_instance_id', NEW.id), ('sys_label', coalesce(NEW.label, ''))) AS v
    WHERE strpos(NEW.expression, '{' || v.name || '}') > 0;
    SELECT p.plan, p.plan_hash INTO NEW.plan, NEW.plan_hash
    FROM df.meta m
    JOIN df.plans p ON p.compiler_version = m.compiler_version AND p.expression_hash = NEW.expression_hash
                       AND p.variables_hash = df._variables_hash(NEW.variables);
    NEW.result := NULL;
    NEW.error := NULL;
    NEW.attempt := 0;
    NEW.next_attempt_at := NULL;
    NEW.waiting_for := CASE df._is_served(pg_get_userbyid(NEW.submitted_by::oid)) WHEN true THEN NULL
                            WHEN false THEN 'a worker that serves role ' || NEW.submitted_by ELSE 'a worker' END;
    NEW.current_steps := NULL;
    NEW.created_at := clock_timestamp();
    NEW.started_at := NULL;
    NEW.updated_at := NEW.created_at;
    NEW.completed_at := NULL;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER before_instance BEFORE INSERT ON df.instances
FOR EACH ROW EXECUTE FUNCTION df._before_instance();
