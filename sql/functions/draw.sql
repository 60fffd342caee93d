-- The lines of the drawing of an expression's JSON, in order. With an instance each node has a mark that says how it
-- stands: the statuses are those of its plan's nodes, whose ids are the names of steps, or end in the number of
-- the node in written order (what has parts stands behind them). NULL lines: what no df function makes, or is nested too deeply.
--
-- One query over all levels: a chain's elements are taken out of their array once, so that a long one costs
-- no more than its length. Names and what they name are one row: `given` are the names around a node (`s` of a step,
-- `a` of a binding), the outermost first. A chain without a name has no line, its elements stand in its place.
-- Locks: none. SECURITY INVOKER: the caller's policies hold.
CREATE OR REPLACE FUNCTION df._draw(doc json, instance text, plan jsonb, instance_status text)
RETURNS TABLE (place bigint, line text)
LANGUAGE sql STABLE
SET jit = off AS $$
    WITH RECURSIVE spot (at, level, indent, lead, label, n, kind, given, policies, named) AS (
        SELECT '{}'::bigint[], 1, 0, '', NULL::text, doc, df._drawn_kind(doc), '{}'::text[], '', false
        UNION ALL
        SELECT CASE WHEN s.kind IN ('as', 'step', 'params') THEN s.at ELSE s.at || c.place END, s.level + 1,
               CASE WHEN c.label IS NULL THEN s.indent ELSE s.indent + 6 END,
               CASE WHEN c.label IS NOT NULL THEN CASE WHEN c.more THEN '├─' ELSE '└─' END
                    WHEN c.place = 1 THEN s.lead ELSE '→ ' END,
               CASE WHEN c.label IS NOT NULL THEN c.label WHEN c.place = 1 THEN s.label END,
               c.part, df._drawn_kind(c.part),
               CASE s.kind WHEN 'as' THEN s.given || ('a' || (s.n ->> 'as')) WHEN 'step' THEN s.given || ('s' || (s.n ->> 'step'))
                           ELSE '{}' END,
               CASE WHEN s.kind IN ('as', 'step') THEN s.policies || df._drawn_policy(s.n -> 'policy') ELSE '' END,
               s.kind IN ('as', 'step') AND (s.named OR s.kind = 'step')
        FROM spot s
        CROSS JOIN LATERAL (
            SELECT 1::bigint AS place, NULL::text AS label, s.n -> 'body' AS part, false AS more
            WHERE s.kind IN ('as', 'step', 'params')
            UNION ALL
            SELECT e.place, NULL, e.n, false
            FROM pg_catalog.json_array_elements(CASE WHEN s.kind = 'chain' AND NOT s.named THEN s.n -> 'chain' END)
                WITH ORDINALITY AS e(n, place)
            UNION ALL
            SELECT p.place, p.label, p.part, p.more FROM df._drawn_parts(s.kind, s.n) AS p
            WHERE s.kind NOT IN ('as', 'step', 'params') AND (s.kind <> 'chain' OR s.named)
        ) AS c
        WHERE s.kind NOT IN ('sql', 'http') AND s.level <= 2 * df._nesting_levels_max()
    ), drawn AS MATERIALIZED (
        SELECT s.at, s.kind, h.head,
               coalesce(pg_catalog.repeat(' ', s.indent - 2) || s.label || E'\n', '') || pg_catalog.repeat(' ', s.indent) || s.lead
               || CASE WHEN s.level <= 2 * df._nesting_levels_max() THEN df._drawn_node(s.kind, s.n, h.head, s.policies) END
               || h.names AS line,
               CASE WHEN s.kind IN ('sql', 'http', 'multipart', 'rows', 'break', 'sleep', 'wait_until', 'wait_for_schedule',
                                    'wait_for_signal', 'call', 'wait_for_instance')
                    THEN s.at ELSE s.at || 9223372036854775807 END AS ends_at,
               -- A query that is asked for a limited time stands in a time limit, beside what there is when that is over.
               CASE WHEN s.kind = 'chain' THEN 0 WHEN s.kind = 'wait_for' AND s.n -> 'timeout' IS NOT NULL THEN 3 ELSE 1 END AS nodes
        FROM spot s
        CROSS JOIN LATERAL (
            SELECT (SELECT pg_catalog.substr(g.name, 2) FROM pg_catalog.unnest(s.given) WITH ORDINALITY AS g(name, place)
                    WHERE g.place = inner_step.place),
                   coalesce((SELECT pg_catalog.string_agg(' |=> ''' || pg_catalog.substr(g.name, 2) || '''', '' ORDER BY g.place DESC)
                             FROM pg_catalog.unnest(s.given) WITH ORDINALITY AS g(name, place)
                             WHERE g.place <> inner_step.place), '')
            FROM (SELECT coalesce(pg_catalog.max(g.place), 0) FROM pg_catalog.unnest(s.given) WITH ORDINALITY AS g(name, place)
                  WHERE pg_catalog.starts_with(g.name, 's')) AS inner_step(place)
        ) AS h(head, names)
        WHERE s.kind IS NULL OR s.kind NOT IN ('as', 'step', 'params', 'chain') OR (s.kind = 'chain' AND s.named)
    ), place AS (
        -- What has a node in the plan, with its number in written order; a name around a chain is that of the chain's last
        -- node, unless that has one.
        SELECT d.at, pg_catalog.sum(d.nodes) OVER w AS number, d.kind = 'chain' AS is_name,
               coalesce(d.head, CASE WHEN pg_catalog.lead(d.kind) OVER w = 'chain' THEN pg_catalog.lead(d.head) OVER w END) AS id
        FROM drawn d
        WHERE instance IS NOT NULL
        WINDOW w AS (ORDER BY d.ends_at)
    ), node AS MATERIALIZED (
        SELECT p.id, p.status, pg_catalog.substring(p.id, '_(\d{1,15})_*$')::bigint AS number,
               EXISTS (SELECT FROM drawn d WHERE d.head = p.id) AS named
        FROM df._plan_nodes(instance, plan, instance_status) AS p
        WHERE instance IS NOT NULL
    ), stands AS (
        SELECT u.number, n.status FROM place u JOIN node n ON n.id = u.id WHERE NOT u.is_name
        UNION ALL
        SELECT u.number, n.status FROM place u JOIN node n ON n.number = u.number AND NOT n.named
        WHERE u.id IS NULL AND NOT u.is_name
    )
    SELECT pg_catalog.row_number() OVER (ORDER BY d.at), d.line || CASE WHEN instance IS NULL THEN '' ELSE df._drawn_mark(
        coalesce(s.status, CASE WHEN instance_status IN ('pending', 'running') THEN 'pending' ELSE 'skipped' END)) END
    FROM drawn d LEFT JOIN place u ON u.at = d.at LEFT JOIN stands s ON s.number = u.number
    ORDER BY d.at
$$;
