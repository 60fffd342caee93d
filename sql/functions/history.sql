-- What lasts of an instance, for the worker that holds it. `kept`: the nodes whose results are brought along, where
-- they have less than `kept_bytes` as they are stored (a node's id is its path without the frames of loops and maps in
-- front, and without what it does behind it); how many items a map has comes always.
--
-- kind is completed, failed, decided (value), timer (seconds, moment), child (moment is its id), position (round, value, error, seconds), attempt
-- (round attempts have failed, and losses were lost; error, seconds) or begun. seconds are those from now on.
-- Attempts of what has its record do not count any more. Lengths of time that have begun later than now begin anew.
-- Locks: the fence, so that nothing is being added meanwhile.
CREATE OR REPLACE FUNCTION df._history(instance text, token bytea, kept text[], kept_bytes integer)
RETURNS TABLE (path text, journal bigint, kind text, row_count bigint, columns text[], types oid[], cells text[],
               value json, error json, round bigint, seconds double precision, losses integer, moment text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET DateStyle = 'ISO, MDY'
SET TimeZone = 'UTC' AS $$
#variable_conflict use_column
DECLARE
    now constant timestamptz := clock_timestamp();
BEGIN
    PERFORM df._lock_fence($2, $1);
    PERFORM df._begin_anew($1, now);
    PERFORM set_config('TimeZone', i.time_zone, true) FROM df.instances i WHERE i.id = $1;
    RETURN QUERY
    SELECT c.path, c.journal, c.kind, CASE WHEN w.whole THEN c.row_count END, CASE WHEN w.whole THEN c.columns END,
           CASE WHEN w.whole THEN c.types END, CASE WHEN w.whole THEN c.cells END, CASE WHEN w.whole THEN c.value END,
           c.error, NULL::bigint, NULL::double precision, NULL::integer, NULL
    FROM df.checkpoints c
    CROSS JOIN LATERAL (SELECT df._inside(c.path) AS inside) AS p
    LEFT JOIN unnest($3) AS k(node) ON k.node = df._node_of(c.path)
    CROSS JOIN LATERAL (
        SELECT (k.node IS NOT NULL OR p.inside LIKE '%/items')
           AND coalesce(pg_column_size(c.cells), 0) + coalesce(pg_column_size(c.value), 0) < $4) AS w(whole)
    WHERE c.instance_id = $1
    UNION ALL
    SELECT m.path, m.journal, m.kind, NULL, NULL, NULL, NULL, m.value, m.error, m.round,
           date_part('epoch', m.due_at - now),
           NULL, coalesce(m.other, m.due_at::text)
    FROM df.marks m WHERE m.instance_id = $1 AND m.kind <> 'awaited'
    UNION ALL
    SELECT a.path, NULL, s.kind, NULL, NULL, NULL, NULL, NULL, a.last_error, a.attempts,
           date_part('epoch', a.next_attempt_at - now), a.losses, NULL
    FROM df.attempts_made a
    JOIN (VALUES ('attempt'), ('begun')) AS s(kind)
      ON CASE s.kind WHEN 'attempt' THEN a.attempts + a.losses > 0 ELSE a.begun_at IS NOT NULL END
    WHERE a.instance_id = $1
      AND NOT EXISTS (SELECT FROM df.checkpoints c WHERE c.instance_id = $1 AND c.path = a.path)
    ORDER BY 2;
END $$;
