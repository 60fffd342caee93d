-- The nodes of an instance's plan, those of nested blocks included, and how each stands by the checkpoints there are.
--
-- A record counts for its node whatever rounds and items stand in front of its path (`poll[17]/fetch`): the latest
-- one shows. A SQL step is done when <id> has a checkpoint, an HTTP step when <id>/response has one (or its request
-- has failed), a map when <id> has one. What has no record of its own is done when all that it waits for is (a join),
-- when something behind it has begun, or when the part whose result it has is done. Of parts of which one is chosen
-- (`then`, `else`, `catch`, `finally`, `undo`) nothing runs before a record in it says which.
-- While it runs, `skipped` is what stands in something that has come to its end without it, unless that may come round again.
-- When the instance has ended, `cancelled` is what would be running (also an arm that was stopped, in a group that has
-- come to its end), `skipped` what would be pending.
-- A break and what it is in have come to their end when the loop has.
-- Nothing here knows more than plan_json writes. Without JIT: what is estimated is far above what there is, and to
-- compile it would take seconds. Joined as it is written: to look for another order takes 0.8 s, and with estimates
-- that are wrong finds nested loops (90 s for 1,500 nodes, 0.3 s as written).
-- Locks: none. SECURITY INVOKER: the caller's policies hold.
CREATE OR REPLACE FUNCTION df._plan_nodes(instance text, plan jsonb, instance_status text) RETURNS TABLE (
    number bigint, id text, node_type text, query text, result_name text, left_node text, right_node text,
    predecessors text[], parent text, part text, record text, status text)
LANGUAGE sql STABLE
SET jit = off SET join_collapse_limit = 1 AS $$
    WITH RECURSIVE found (at, parent, part, n) AS (
        SELECT ARRAY[e.place], NULL::text, NULL::text, e.n
        FROM pg_catalog.jsonb_array_elements(plan -> 'nodes') WITH ORDINALITY AS e(n, place)
        UNION ALL
        SELECT found.at || block.place || e.place, found.n ->> 'id', block.part, e.n
        FROM found
        CROSS JOIN LATERAL (
            SELECT p.place, p.part, found.n -> p.part AS nodes
            FROM (VALUES (1::bigint, 'condition'), (2, 'then'), (3, 'body'), (4, 'while'), (5, 'else'), (6, 'catch'),
                         (7, 'finally'), (8, 'undo')) AS p(place, part)
            WHERE pg_catalog.jsonb_typeof(found.n -> p.part) = 'array'
            UNION ALL
            SELECT a.place, 'branch ' || a.place, a.nodes
            FROM pg_catalog.jsonb_array_elements(found.n -> 'arms') WITH ORDINALITY AS a(nodes, place)
        ) AS block
        CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(block.nodes) WITH ORDINALITY AS e(n, place)
    ), node AS MATERIALIZED (
        SELECT pg_catalog.row_number() OVER (ORDER BY found.at) AS number, found.n ->> 'id' AS id, found.n ->> 'kind' AS kind,
               found.parent, found.part, found.n - '{condition,then,while,else,catch,finally,undo,arms}'::text[] AS n,
               ARRAY(SELECT pg_catalog.jsonb_array_elements_text(found.n -> 'after')) AS after,
               found.n ?| '{arms,condition}' OR pg_catalog.jsonb_typeof(found.n -> 'body') IS NOT DISTINCT FROM 'array' AS has_parts
        FROM found
    ), record AS (
        SELECT c.path, c.kind, c.journal, df._node_of(c.path) AS id,
               c.kind = 'failed' OR df._inside(c.path) !~ '/(request|items)$' AS ends
        FROM df.checkpoints c
        WHERE c.instance_id = instance
    ), own AS MATERIALIZED (
        SELECT DISTINCT ON (record.id) record.id, record.path, record.kind AS outcome
        FROM record WHERE record.ends ORDER BY record.id, record.journal DESC
    ), known AS MATERIALIZED (
        -- A value that is known is there when the time limit around it has decided so.
        SELECT own.id, own.outcome FROM own
        UNION ALL
        SELECT DISTINCT node.id, 'completed' FROM node JOIN df.marks k ON k.instance_id = instance AND k.kind = 'decided'
            AND df._node_of(k.path) = node.parent AND k.value ->> 'timed_out' = 'true'
        WHERE node.kind = 'constant' AND node.part = 'else'
    ), begun (id) AS (
        SELECT b.id FROM (
            SELECT record.id FROM record
            UNION ALL SELECT df._node_of(k.path) FROM df.marks k WHERE k.instance_id = instance AND k.kind IN ('timer', 'child', 'awaited')
            -- What listens has no record before it hears something.
            UNION ALL SELECT df._node_of(s.path) FROM df.instances i, pg_catalog.unnest(i.current_steps) AS s(path) WHERE i.id = instance
        ) AS b(id)
        UNION
        SELECT node.parent FROM begun JOIN node ON node.id = begun.id WHERE node.parent IS NOT NULL
    ), passed (id) AS (
        SELECT a FROM begun JOIN node ON node.id = begun.id, pg_catalog.unnest(node.after) AS a
        UNION
        SELECT node.id FROM node WHERE instance_status = 'completed' AND node.parent IS NULL
        UNION
        SELECT a FROM passed JOIN node ON node.id = passed.id, pg_catalog.unnest(node.after) AS a
    ), leaf (join_id, id) AS (
        SELECT node.id, a FROM node, pg_catalog.unnest(node.after) AS a WHERE node.kind = 'join' AND NOT node.has_parts
        UNION
        SELECT leaf.join_id, a FROM leaf
        JOIN node ON node.id = leaf.id AND node.kind = 'join' AND NOT node.has_parts, pg_catalog.unnest(node.after) AS a
    ), waited AS (
        SELECT leaf.join_id AS id,
               CASE WHEN pg_catalog.bool_or(own.outcome = 'failed') THEN 'failed'
                    WHEN pg_catalog.bool_and(own.outcome IS NOT NULL OR passed.id IS NOT NULL) THEN 'completed' END AS outcome
        FROM leaf JOIN node ON node.id = leaf.id AND NOT (node.kind = 'join' AND NOT node.has_parts)
        LEFT JOIN own ON own.id = leaf.id LEFT JOIN passed ON passed.id = leaf.id GROUP BY leaf.join_id
    ), last AS (
        -- The last node of each part: its result is the part's.
        SELECT DISTINCT ON (node.parent, node.part) node.parent, node.part, node.id, known.outcome
        FROM node LEFT JOIN known ON known.id = node.id
        WHERE node.parent IS NOT NULL ORDER BY node.parent, node.part, node.number DESC
    ), ended AS (
        SELECT node.id FROM node JOIN last ON last.parent = node.id AND last.outcome = 'completed'
        WHERE CASE node.kind WHEN 'if' THEN last.part IN ('then', 'else')
                             WHEN 'race' THEN pg_catalog.starts_with(last.part, 'branch ')
                             WHEN 'try' THEN last.part = 'finally' OR (last.part IN ('body', 'catch') AND NOT EXISTS (
                                  SELECT FROM last AS f WHERE f.parent = node.id AND f.part = 'finally'))
                             ELSE node.kind IN ('atomic', 'retry', 'timeout', 'compensate') AND last.part IN ('body', 'else') END
    ), state AS MATERIALIZED (
        SELECT node.id,
               CASE WHEN known.outcome IS NOT NULL THEN known.outcome
                    WHEN passed.id IS NOT NULL OR ended.id IS NOT NULL THEN 'completed'
                    WHEN waited.id IS NOT NULL THEN waited.outcome
                    WHEN node.kind = 'value' AND node.part = 'condition' AND begun.id IS NOT NULL THEN 'completed'
                    WHEN node.has_parts AND self.id IS NOT NULL AND instance_status IN ('failed', 'compensated') THEN 'failed'
               END AS outcome
        FROM node
        LEFT JOIN known ON known.id = node.id LEFT JOIN passed ON passed.id = node.id
        LEFT JOIN (SELECT DISTINCT ended.id FROM ended) AS ended ON ended.id = node.id
        LEFT JOIN waited ON waited.id = node.id
        LEFT JOIN begun ON begun.id = node.parent LEFT JOIN begun AS self ON self.id = node.id
    ), blocked AS (
        SELECT DISTINCT node.id FROM node, pg_catalog.unnest(node.after) AS a
        JOIN state ON state.id = a JOIN node AS before ON before.id = a
        WHERE state.outcome IS DISTINCT FROM 'completed'
          AND NOT (state.outcome = 'failed' AND before.n #>> '{policy,on_error}' IS NOT DISTINCT FROM 'continue')
    ), chosen AS (
        SELECT DISTINCT node.parent, node.part FROM begun JOIN node ON node.id = begun.id WHERE node.parent IS NOT NULL
    ), ready AS MATERIALIZED (
        SELECT node.id, node.parent FROM node
        JOIN state ON state.id = node.id AND state.outcome IS NULL
        LEFT JOIN blocked ON blocked.id = node.id
        LEFT JOIN chosen ON chosen.parent = node.parent AND chosen.part = node.part
        LEFT JOIN last ON last.parent = node.parent AND last.part = 'body'
        WHERE blocked.id IS NULL
          AND (node.part IS NULL OR chosen.part IS NOT NULL OR node.part IN ('condition', 'body')
               OR pg_catalog.starts_with(node.part, 'branch ') OR (node.part = 'while' AND last.outcome = 'completed'))
    ), guessed AS (
        -- A break that is all of a branch leaves no record: where nothing else came of the if, it was taken.
        SELECT pg_catalog.min(node.id) AS id, node.parent
        FROM node
        JOIN last ON last.parent = node.parent AND last.part = 'condition'
        JOIN node AS condition ON condition.id = last.id
        LEFT JOIN chosen ON chosen.parent = node.parent AND chosen.part IN ('then', 'else')
        WHERE node.kind = 'break' AND node.after = '{}' AND node.part IN ('then', 'else')
          AND (last.outcome = 'completed' OR condition.kind = 'value') AND chosen.part IS NULL
        GROUP BY node.parent HAVING pg_catalog.count(*) = 1
    ), reached (id) AS (
        -- What the last round of a loop had come to when a break left it.
        SELECT ready.id FROM ready JOIN node ON node.id = ready.parent AND node.kind = 'loop'
        JOIN state ON state.id = node.id AND state.outcome = 'completed'
        LEFT JOIN last ON last.parent = node.id AND last.part = 'while'
        WHERE last.outcome IS NULL
        UNION
        SELECT inner_node.id
        FROM reached JOIN (SELECT ready.id, ready.parent FROM ready UNION ALL SELECT guessed.id, guessed.parent FROM guessed)
            AS inner_node ON inner_node.parent = reached.id
    ), broken (id) AS (
        SELECT node.id FROM reached JOIN node ON node.id = reached.id AND node.kind = 'break'
        UNION
        SELECT node.parent FROM broken JOIN node ON node.id = broken.id JOIN reached ON reached.id = node.parent
    ), running (id) AS (
        SELECT ready.id FROM ready JOIN node ON node.id = ready.id LEFT JOIN state ON state.id = ready.parent
        WHERE CASE WHEN ready.parent IS NULL THEN instance_status <> 'pending'
                   ELSE state.outcome IS NOT NULL AND pg_catalog.starts_with(node.part, 'branch ')
                        AND instance_status NOT IN ('pending', 'running') END
        UNION
        SELECT ready.id FROM running JOIN ready ON ready.parent = running.id
    ), waiting (id) AS (
        -- A join that stands behind its branches: it runs from when one of them does.
        SELECT DISTINCT leaf.join_id FROM leaf JOIN state ON state.id = leaf.join_id AND state.outcome IS NULL
        LEFT JOIN own ON own.id = leaf.id LEFT JOIN running ON running.id = leaf.id
        WHERE own.id IS NOT NULL OR running.id IS NOT NULL
    ), repeated (id) AS (
        -- What stands in something that goes round, unless that has been stopped.
        SELECT node.id FROM node JOIN state ON state.id = node.id AND state.outcome IS NULL
        LEFT JOIN state AS around ON around.id = node.parent
        WHERE node.kind IN ('loop', 'map', 'retry') AND around.outcome IS NULL
        UNION
        SELECT node.id FROM repeated JOIN node ON node.parent = repeated.id
    ), settled (id) AS (
        -- In what has come to its end: an arm that has lost, a branch that was not taken. An undo may still run.
        SELECT node.id FROM node JOIN state ON state.id = node.parent AND state.outcome IS NOT NULL
        WHERE node.part <> 'undo' AND NOT EXISTS (SELECT FROM repeated WHERE repeated.id = node.id)
        UNION
        SELECT node.id FROM settled JOIN node ON node.parent = settled.id
    )
    SELECT node.number, node.id,
           CASE WHEN node.n ? 'every' THEN 'WAIT_FOR' WHEN node.n #> '{request,parts}' IS NOT NULL THEN 'HTTP_MULTIPART'
                ELSE pg_catalog.upper(node.kind) END,
           CASE WHEN node.kind IN ('loop', 'if') AND NOT node.n ? 'every' THEN (
                    SELECT pg_catalog.jsonb_build_object('condition_node', last.id)::text FROM last
                    WHERE last.parent = node.id AND last.part IN ('condition', 'while'))
                WHEN node.kind IN ('join', 'race') THEN (
                    SELECT pg_catalog.jsonb_build_object('extra_nodes', pg_catalog.jsonb_agg(e.id ORDER BY e.place))::text
                    FROM (SELECT last.id, pg_catalog.substr(last.part, 8)::bigint AS place FROM last
                          WHERE last.parent = node.id AND node.has_parts
                          UNION ALL
                          SELECT a.id, a.place FROM pg_catalog.unnest(node.after) WITH ORDINALITY AS a(id, place)
                          WHERE NOT node.has_parts) AS e
                    WHERE e.place > 2 HAVING pg_catalog.count(*) > 0)
                ELSE df._node_query(node.kind, node.n) END,
           node.n #>> '{bindings,0}',
           CASE WHEN node.has_parts THEN (SELECT last.id FROM last
                WHERE last.parent = node.id AND last.part IN ('then', 'body', 'branch 1')) ELSE node.after[1] END,
           CASE WHEN node.has_parts THEN (SELECT last.id FROM last
                WHERE last.parent = node.id AND last.part IN ('else', 'catch', 'undo', 'branch 2')) ELSE node.after[2] END,
           node.after, node.parent, node.part, own.path,
           coalesce(state.outcome, CASE
               WHEN broken.id IS NOT NULL OR (node.kind = 'value' AND around.id IS NOT NULL) THEN 'completed'
               WHEN instance_status IN ('pending', 'running') THEN
                    CASE WHEN running.id IS NOT NULL OR waiting.id IS NOT NULL THEN 'running'
                         WHEN settled.id IS NOT NULL THEN 'skipped' ELSE 'pending' END
               WHEN running.id IS NULL AND waiting.id IS NULL THEN 'skipped' ELSE 'cancelled' END)
    FROM node JOIN state ON state.id = node.id LEFT JOIN own ON own.id = node.id LEFT JOIN running ON running.id = node.id
    LEFT JOIN settled ON settled.id = node.id LEFT JOIN waiting ON waiting.id = node.id LEFT JOIN broken ON broken.id = node.id
    LEFT JOIN broken AS around ON around.id = node.parent AND node.part = 'condition'
$$;
