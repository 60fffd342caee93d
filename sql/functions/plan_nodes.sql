-- The nodes of an instance's plan, and how each stands by the checkpoints that there are.
--
-- A SQL node is done when <id> has a checkpoint, an HTTP node when <id>/response has one (or its request has
-- failed), a join when all that it waits for is done. Nothing here knows more than plan_json writes.
-- Locks: none. SECURITY INVOKER: the caller's policies hold.
CREATE OR REPLACE FUNCTION df._plan_nodes(instance text, plan jsonb) RETURNS TABLE (
    number bigint, id text, node_type text, query text, result_name text, predecessors text[], record text,
    outcome text, predecessors_done boolean)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE node AS (
        SELECT e.number, e.n ->> 'id' AS id, e.n ->> 'kind' AS kind, e.n,
               ARRAY(SELECT pg_catalog.jsonb_array_elements_text(e.n -> 'after')) AS after
        FROM pg_catalog.jsonb_array_elements(plan -> 'nodes') WITH ORDINALITY AS e(n, number)
    ), own AS (
        SELECT node.id, c.path, c.kind AS outcome
        FROM node LEFT JOIN LATERAL (
            SELECT k.path, k.kind FROM df.checkpoints k
            WHERE k.instance_id = instance
              AND (k.path = CASE node.kind WHEN 'http' THEN node.id || '/response' ELSE node.id END
                   OR (node.kind = 'http' AND k.kind = 'failed' AND k.path IN (node.id, node.id || '/request')))
            ORDER BY k.kind = 'failed' DESC LIMIT 1
        ) AS c ON true
        WHERE node.kind <> 'join'
    ), leaf (join_id, id) AS (
        SELECT node.id, a FROM node, pg_catalog.unnest(node.after) AS a WHERE node.kind = 'join'
        UNION
        SELECT leaf.join_id, a FROM leaf JOIN node ON node.id = leaf.id AND node.kind = 'join', pg_catalog.unnest(node.after) AS a
    ), joined AS (
        SELECT leaf.join_id AS id, NULL::text AS path,
               CASE WHEN pg_catalog.bool_or(own.outcome = 'failed') THEN 'failed'
                    WHEN pg_catalog.bool_and(own.outcome IS NOT NULL) THEN 'completed' END AS outcome
        FROM leaf JOIN own ON own.id = leaf.id GROUP BY leaf.join_id
    ), state AS (SELECT * FROM own UNION ALL SELECT * FROM joined)
    SELECT node.number, node.id, pg_catalog.upper(node.kind),
           coalesce(node.n #>> '{body,sql}', node.n #>> '{request,sql}', (node.n -> 'request')::text),
           node.n #>> '{bindings,0}', node.after, state.path, state.outcome,
           (SELECT coalesce(pg_catalog.bool_and(p.outcome IS NOT DISTINCT FROM 'completed'), true)
            FROM pg_catalog.unnest(node.after) AS a LEFT JOIN state p ON p.id = a)
    FROM node LEFT JOIN state ON state.id = node.id
$$;

-- JSON as jsonb, or as a JSON string where jsonb cannot hold it. Locks: none.
CREATE OR REPLACE FUNCTION df._as_jsonb(value text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN value::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN pg_catalog.to_jsonb(value);
END $$;
