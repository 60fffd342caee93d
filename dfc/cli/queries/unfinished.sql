-- Instances of a definition, or of a plan, that have not ended, oldest first; what each has recorded, in the order of
-- commits: activations, then what has begun (timers, decisions, rounds with the results that they keep), and `m[1]` for
-- a map of which an item has ended; and the names of its inputs. Locks: none.
SELECT i.id, i.label, i.definition_version, i.plan::text, coalesce(c.paths, '{}') || coalesce(m.paths, '{}') || coalesce(e.paths, '{}'),
       CASE pg_catalog.jsonb_typeof(i.input) WHEN 'object' THEN
           ARRAY(SELECT f.key FROM pg_catalog.jsonb_each(i.input) AS f WHERE f.value <> 'null') ELSE '{}' END
FROM df.instances i
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(c.path ORDER BY c.journal) FROM df.checkpoints c WHERE c.instance_id = i.id
) AS c(paths)
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(p.path ORDER BY m.made_at, p.path)
    FROM df.marks m
    CROSS JOIN LATERAL (
        SELECT m.path
        UNION ALL
        SELECT pg_catalog.regexp_replace(m.path, '/round$', '[' || m.round || ']/') || k.id
        FROM pg_catalog.json_object_keys(
            CASE WHEN m.kind = 'position' AND pg_catalog.json_typeof(m.value) = 'object' THEN m.value ELSE '{}' END) AS k(id)
    ) AS p(path)
    WHERE m.instance_id = i.id
) AS m(paths)
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(s.path || '[1]' ORDER BY s.map) FROM df.maps s
    WHERE s.instance_id = i.id
      AND EXISTS (SELECT FROM df.map_items t WHERE t.map = s.map AND t.status <> 'pending')
) AS e(paths)
WHERE i.completed_at IS NULL AND (i.definition = %(definition)s OR (i.definition IS NULL AND i.plan_hash = %(plan_hash)s))
ORDER BY i.id
LIMIT %(limit)s
