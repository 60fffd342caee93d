-- A new instance that begins at a part of another one's workflow: what came before it is taken over, with its results.

-- Which parts at the top of a workflow come before one of them, in the order of writing. Locks: none.
CREATE OR REPLACE FUNCTION df._parts_before(plan jsonb, part text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    WITH RECURSIVE node AS (
        SELECT e.n ->> 'id' AS id, e.place, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(e.n -> 'after')) AS after
        FROM pg_catalog.jsonb_array_elements(plan -> 'nodes') WITH ORDINALITY AS e(n, place)
    ), before (id) AS (
        SELECT a FROM node, pg_catalog.unnest(node.after) AS a WHERE node.id = part
        UNION
        SELECT a FROM before JOIN node ON node.id = before.id, pg_catalog.unnest(node.after) AS a
    )
    SELECT coalesce(pg_catalog.array_agg(node.id ORDER BY node.place), '{}') FROM node JOIN before ON before.id = node.id
$$;

-- The part at the top of the workflow that `from_step` names. Raises P0002 for an instance that is not there, 42704 for
-- a step that is not, 55000 for one that is inside of a part, or that has something in front of it that has not completed, or
-- was undone. Locks: none.
CREATE OR REPLACE FUNCTION df._part_to_fork(source df.instances, from_step text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_variable
DECLARE
    parts jsonb;
    part text;
    around text;
    before text[];
    missing text;
    said text;
BEGIN
    IF source.plan IS NULL THEN
        RAISE EXCEPTION 'instance % has not been compiled, so nothing of it has run', source.id USING ERRCODE = '55000',
            DETAIL = 'A fork takes over what has run.', HINT = 'Start its workflow once more with df.start.';
    END IF;
    SELECT pg_catalog.jsonb_object_agg(n.id, pg_catalog.jsonb_build_object(
               'parent', n.parent, 'part', n.part, 'type', n.node_type, 'status', n.status, 'name', n.result_name, 'record', n.record))
        INTO parts FROM df._plan_nodes(source.id, source.plan, source.status) AS n;
    SELECT coalesce(pg_catalog.min(p.id) FILTER (WHERE p.id = from_step), pg_catalog.min(p.id)) INTO part
    FROM pg_catalog.jsonb_each(parts) AS p(id, n) WHERE from_step IN (p.id, p.n ->> 'name');
    IF part IS NULL THEN
        RAISE EXCEPTION 'the workflow of instance % has no step "%"', source.id, coalesce(from_step, 'NULL') USING ERRCODE = '42704',
            DETAIL = 'from_step is the name or id of a part of its plan.', HINT = 'It has: ' || (SELECT pg_catalog.string_agg(n ->> 'id', ', ') FROM (
                SELECT e.n FROM pg_catalog.jsonb_array_elements(source.plan -> 'nodes') AS e(n) LIMIT 20) AS e) || '.';
    END IF;
    around := part;
    WHILE parts -> around ->> 'parent' IS NOT NULL LOOP
        around := parts -> around ->> 'parent';
    END LOOP;
    IF around <> part THEN
        RAISE EXCEPTION 'step "%" is inside of "%"', from_step, around USING ERRCODE = '55000',
            DETAIL = 'A fork begins at a part that stands at the top of its workflow: what is inside belongs to a round, an item, a branch.',
            HINT = pg_catalog.format('Fork from "%s": SELECT df.fork_instance(%L, %L).', around, source.id, around);
    END IF;
    before := df._parts_before(source.plan, part);
    SELECT b.id, b.n ->> 'status' INTO missing, said
    FROM pg_catalog.jsonb_each(parts) AS b(id, n), pg_catalog.jsonb_array_elements(source.plan -> 'nodes') AS e(n)
    WHERE b.id = ANY (before) AND e.n ->> 'id' = b.id AND b.n ->> 'status' <> 'completed'
      AND b.n ->> 'type' NOT IN ('VALUE', 'CONSTANT', 'JOIN')
      AND NOT (b.n ->> 'status' = 'failed' AND e.n #>> '{policy,on_error}' IS NOT DISTINCT FROM 'continue')
    ORDER BY pg_catalog.array_position(before, b.id) LIMIT 1;
    IF missing IS NULL AND EXISTS (
            SELECT FROM df.marks k WHERE k.instance_id = source.id AND k.path = '/decision') THEN
        SELECT t.id, 'undone' INTO missing, said FROM (
            WITH RECURSIVE inside (top, id) AS (
                SELECT b, b FROM pg_catalog.unnest(before) AS b
                UNION ALL
                SELECT inside.top, p.id FROM inside JOIN pg_catalog.jsonb_each(parts) AS p(id, n) ON p.n ->> 'parent' = inside.id)
            SELECT inside.top AS id FROM inside
            WHERE parts -> inside.id ->> 'part' = 'undo' AND parts -> inside.id ->> 'record' IS NOT NULL) AS t
        ORDER BY pg_catalog.array_position(before, t.id) LIMIT 1;
    END IF;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'instance % cannot be forked from "%": "%" comes before it, and is %', source.id, from_step, missing, said
            USING ERRCODE = '55000', DETAIL = 'A fork takes over what has completed before the step it begins with.',
            HINT = pg_catalog.format('Fork from "%s": SELECT df.fork_instance(%L, %L).', missing, source.id, missing);
    END IF;
    RETURN part;
END $$;

-- The id of a new instance with the plan, the input, the variables and the settings of another one, of whatever status. Locks:
-- those of an insert into df.instances (see df._wake).
CREATE OR REPLACE FUNCTION df.fork_instance(instance_id text, from_step text, label text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    source df.instances;
    part text;
    started text;
    waits text;
    queue text;
BEGIN
    SELECT i.* INTO source FROM df.instances i WHERE i.id = instance_id;
    IF NOT FOUND THEN
        PERFORM df._refuse_unknown(instance_id, 'Nothing was started.');
    END IF;
    PERFORM df._check_label(label);
    part := df._part_to_fork(source, from_step);
    INSERT INTO df.instances AS i (expression, label, forked_from, fork_step)
    VALUES (source.expression, coalesce(label, pg_catalog."left"(source.label, 993) || ' (fork)'), instance_id, part)
    RETURNING i.id, i.waiting_for, i.queue INTO started, waits, queue;
    PERFORM df._announce(started, waits, queue);
    RETURN started;
END $$;

-- Copies what comes before the part that a fork begins with: records, decisions and positions, maps with their items.
-- Whose instance it may be forked from, the trigger in front of the insert has looked at; what is not completed is not
-- there to be copied whole, and df._part_to_fork is asked once more.
-- Locks: none that another session could wait for.
CREATE OR REPLACE FUNCTION df._after_fork() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    source df.instances;
    taken text[];
BEGIN
    SELECT i.* INTO source FROM df.instances i WHERE i.id = NEW.forked_from;
    WITH RECURSIVE node AS (
        SELECT n.id, n.parent FROM df._plan_nodes(source.id, source.plan, source.status) AS n
    ), inside (id) AS (
        SELECT unnest(df._parts_before(source.plan, df._part_to_fork(source, NEW.fork_step)))
        UNION
        SELECT node.id FROM inside JOIN node ON node.parent = inside.id
    )
    SELECT array_agg(inside.id) INTO taken FROM inside;
    INSERT INTO df.checkpoints (instance_id, path, journal, kind, columns, types, cells, row_count, value, error, started_at,
                                finished_at, note)
    SELECT NEW.id, c.path, c.journal, c.kind, c.columns, c.types, c.cells, c.row_count, c.value, c.error, c.started_at,
           c.finished_at, c.note
    FROM df.checkpoints c
    WHERE c.instance_id = source.id AND substring(c.path FROM '^[^/[]+') = ANY (taken);
    INSERT INTO df.marks (instance_id, path, kind, journal, round, value, due_at, error, made_at, fixed)
    SELECT NEW.id, k.path, k.kind, k.journal, k.round, k.value, k.due_at, k.error, k.made_at, k.fixed
    FROM df.marks k
    WHERE k.instance_id = source.id AND k.kind IN ('decided', 'timer', 'position')
      AND substring(k.path FROM '^[^/[]+') = ANY (taken);
    WITH copied AS (
        INSERT INTO df.maps (instance_id, path, columns, types, batch_size, items, failed, first_failed, ended_to)
        SELECT NEW.id, m.path, m.columns, m.types, m.batch_size, m.items, m.failed, m.first_failed, m.ended_to
        FROM df.maps m
        WHERE m.instance_id = source.id AND substring(m.path FROM '^[^/[]+') = ANY (taken)
        RETURNING map, path)
    INSERT INTO df.map_items (map, item, rows, status, cells, value, result, error)
    SELECT n.map, i.item, i.rows, i.status, i.cells, i.value, i.result, i.error
    FROM copied n JOIN df.maps m ON m.instance_id = source.id AND m.path = n.path JOIN df.map_items i ON i.map = m.map;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER after_fork AFTER INSERT ON df.instances
FOR EACH ROW WHEN (NEW.forked_from IS NOT NULL) EXECUTE FUNCTION df._after_fork();
