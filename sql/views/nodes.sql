-- One row a node of each instance's plan, with its latest checkpoint; the result of a failed node is its
-- message, which is its error too. `running` is derived: the instance runs and what
-- the node waits for has been done. `parent` is the node around it, and `part` what it stands in there (`then`,
-- `branch 2`). When the instance has ended, what never ran is `skipped`, what was under way is `cancelled`. attempts,
-- last_error and next_attempt_at are those of df.attempts, of steps of which an attempt has failed. An instance that
-- waits to be compiled has no rows yet.
-- Locks: none. security_invoker: everybody sees the nodes of their own instances.
CREATE OR REPLACE VIEW df.nodes WITH (security_invoker = true) AS
SELECT n.id,
       i.id AS instance_id,
       n.node_type,
       n.query,
       n.result_name,
       n.left_node,
       n.right_node,
       n.status,
       CASE WHEN c.row_count IS NOT NULL THEN df._as_jsonb(df._result_json(c.columns, c.types, c.cells, c.row_count))
            WHEN c.value IS NOT NULL THEN df._as_jsonb(c.value::text)
            WHEN c.error IS NOT NULL THEN pg_catalog.to_jsonb(c.error ->> 'message') END AS result,
       c.error ->> 'message' AS error,
       i.submitted_by,
       i.database,
       i.created_at,
       coalesce(c.finished_at, i.updated_at) AS updated_at,
       CASE WHEN c.path IS NOT NULL
            THEN pg_catalog.jsonb_build_object('path', c.path, 'journal', c.journal, 'error', c.error)
                 || CASE WHEN c.note IS NULL THEN '{}' ELSE pg_catalog.jsonb_build_object('note', c.note) END END AS status_details,
       n.predecessors,
       n.number,
       n.parent,
       n.part,
       a.attempts,
       a.last_error,
       a.next_attempt_at
FROM df.instances i
CROSS JOIN LATERAL df._plan_nodes(i.id, i.plan, i.status) AS n
LEFT JOIN df.checkpoints c ON c.instance_id = i.id AND c.path = n.record
LEFT JOIN (
    -- The latest of each node, whatever rounds and items stand in front of its path.
    SELECT DISTINCT ON (t.instance_id, t.node) t.instance_id, t.node, t.path, t.status, t.attempts, t.last_error, t.next_attempt_at
    FROM (SELECT df._node_of(a.path) AS node, a.* FROM df.attempts a) AS t
    WHERE t.attempts > 0
    ORDER BY t.instance_id, t.node, t.status = 'waiting' DESC, t.path DESC
) AS a ON a.instance_id = i.id AND a.node = n.id AND (a.path = c.path OR c.path IS NULL OR a.status = 'waiting');
