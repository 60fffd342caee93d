-- The trigger in front of every insert into df.instances: what a submitter must not choose is set here.
--
-- What df.start refuses because no version runs it yet is refused here too (0A000).
-- Of an instance that is forked from another one, all that the other one has, but for its label and keys. Of a definition, its latest expression, and what of queue, priority, time limit and key is not given; and
-- whether the time to start has come. The id, the hash of the expression, the variables that it mentions and, when this expression has been compiled
-- before with the same values, its plan; and what it waits for where nobody is there to run it. The
-- defaults (submitted_by, search_path, time_zone) have been computed in the submitter's own context before;
-- the submitter has no right to name those columns, and the policy checks submitted_by once more afterwards.
-- Raises 42704 for a definition that is not there; 3D000 and 42501 for a database where the submitter's steps cannot run.
-- Locks: what it is forked from FOR KEY SHARE, so that it is not deleted while it is copied; otherwise none (reads
-- df.definitions, df.meta, df.vars, df.plans and df.workers).
CREATE OR REPLACE FUNCTION df._before_instance() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    definition df.definitions;
    source df.instances;
    role constant name := pg_get_userbyid(NEW.submitted_by::oid);
BEGIN
    IF NEW.forked_from IS NOT NULL THEN
        SELECT i.* INTO source FROM df.instances i WHERE i.id = NEW.forked_from AND i.submitted_by = NEW.submitted_by
        FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'Instance not found or access denied: %', NEW.forked_from USING ERRCODE = 'P0002',
                DETAIL = format('A fork runs with the rights of %s, and so did not what it is forked from.', NEW.submitted_by),
                HINT = 'Fork it as the role that has started it.';
        END IF;
        NEW.expression := source.expression;
        NEW.input := source.input;
        NEW.priority := source.priority;
        NEW.queue := source.queue;
        NEW.database := source.database;
        NEW.search_path := source.search_path;
        NEW.time_zone := source.time_zone;
        NEW.timeout := source.timeout;
        NEW.concurrency_key := source.concurrency_key;
        NEW.concurrency_limit := source.concurrency_limit;
        NEW.definition := NULL;
        NEW.due_at := NULL;
        NEW.idempotency_key := NULL;
        NEW.debounce_key := NULL;
    END IF;
    IF NEW.database <> current_database() THEN
        PERFORM df._check_database(NEW.database, role);
    END IF;
    IF NEW.definition IS NOT NULL THEN
        definition := df._definition(NEW.submitted_by, NEW.definition);
        NEW.expression := definition.expression;
        NEW.label := coalesce(NEW.label, NEW.definition);
        NEW.queue := coalesce(NEW.queue, definition.queue);
        NEW.priority := coalesce(NEW.priority, definition.priority);
        NEW.timeout := coalesce(NEW.timeout, definition.timeout);
        NEW.concurrency_limit := coalesce(NEW.concurrency_limit,
            CASE WHEN NEW.concurrency_key IS NULL THEN definition.concurrency_limit END);
        NEW.concurrency_key := coalesce(NEW.concurrency_key, definition.concurrency_key);
    END IF;
    NEW.definition_version := definition.version;
    NEW.keep_finished := definition.keep_finished;
    NEW.queue := coalesce(NEW.queue, 'default');
    NEW.priority := coalesce(NEW.priority, 0);
    NEW.concurrency_limit := coalesce(NEW.concurrency_limit, CASE WHEN NEW.concurrency_key IS NOT NULL THEN 1 END);
    -- A debounced one is there to be joined until a claim has looked.
    NEW.due_at := coalesce(NEW.due_at, CASE WHEN NEW.debounce_key IS NOT NULL THEN clock_timestamp() END);
    NEW.ready := coalesce(NEW.due_at <= clock_timestamp() AND NEW.debounce_key IS NULL, true);
    NEW.id := df._new_id();
    NEW.status := 'pending';
    -- What a recorded instance calls is recorded, too.
    NEW.recorded := coalesce((SELECT i.recorded FROM df.instances i WHERE i.id = NEW.parent), df._record_setting());
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
    IF NEW.forked_from IS NOT NULL THEN
        NEW.definition := source.definition;
        NEW.definition_version := source.definition_version;
        NEW.keep_finished := source.keep_finished;
        NEW.variables := source.variables;
        NEW.plan := source.plan;
        NEW.plan_hash := source.plan_hash;
    END IF;
    NEW.result := NULL;
    NEW.error := NULL;
    NEW.attempt := 0;
    NEW.next_attempt_at := NULL;
    NEW.waiting_for := CASE df._is_served(role, NEW.queue)
        WHEN true THEN CASE WHEN NOT NEW.ready THEN 'the time to start' END
        WHEN false THEN CASE WHEN df._is_served(role) THEN 'a worker that serves queue ' || NEW.queue
                             ELSE 'a worker that serves role ' || NEW.submitted_by END
        ELSE 'a worker' END;
    NEW.current_steps := NULL;
    NEW.created_at := clock_timestamp();
    NEW.started_at := NULL;
    NEW.updated_at := NEW.created_at;
    NEW.completed_at := NULL;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER before_instance BEFORE INSERT ON df.instances
FOR EACH ROW EXECUTE FUNCTION df._before_instance();
