-- The ids of instances by status and label, the newest first: those of ids below `before`, at most `most`.
--
-- An id begins with the time of its start, so the newest are the greatest and the primary key is the index. The condition
-- of each status is one that an index has: what is pending, what has an error, and for what runs the view df.claimed. The
-- values are put into the text of the query, so that it is planned for them. A pending cancel request
-- counts as in df.status. Locks: none. SECURITY INVOKER: the caller's policies hold.
CREATE OR REPLACE FUNCTION df._instance_ids(status_filter text, label_filter text, before text, most integer)
RETURNS SETOF text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    conditions text[] := '{true}';
BEGIN
    -- The policy says the same; said with a constant, it lets the planner see whether one has few of many.
    IF pg_catalog.row_security_active('df.instances') THEN
        conditions := conditions || pg_catalog.format('i.submitted_by = %L::regrole', pg_catalog.quote_ident(CURRENT_USER));
    END IF;
    IF label_filter IS NOT NULL THEN
        conditions := conditions || pg_catalog.format('i.label = %L', label_filter);
    END IF;
    IF before IS NOT NULL THEN
        conditions := conditions || pg_catalog.format('i.id < %L', before);
    END IF;
    IF status_filter = 'cancelled' THEN
        -- Those that have ended so, and those that run and are asked to.
        RETURN QUERY EXECUTE pg_catalog.format(
            $q$(SELECT i.id FROM df.instances i WHERE i.error IS NOT NULL AND i.status = 'cancelled' AND %1$s
                ORDER BY i.id DESC LIMIT %2$s)
               UNION ALL
               (SELECT i.id FROM df.instances i
                WHERE i.id IN (SELECT r.instance_id FROM df.requests r WHERE r.kind = 'cancel')
                  AND i.completed_at IS NULL AND df.status(i.id) = 'cancelled' AND %1$s
                ORDER BY i.id DESC LIMIT %2$s)
               ORDER BY 1 DESC LIMIT %2$s$q$, pg_catalog.array_to_string(conditions, ' AND '), most);
        RETURN;
    END IF;
    conditions := conditions || CASE
        WHEN status_filter IS NULL THEN NULL
        WHEN status_filter = 'pending' THEN $c$i.started_at IS NULL AND df.status(i.id) = 'pending'$c$
        WHEN status_filter = 'running' THEN
            $c$i.id IN (SELECT c.instance_id FROM df.claimed c) AND i.status = 'running' AND df.status(i.id) = 'running'$c$
        WHEN status_filter IN ('failed', 'compensated') THEN pg_catalog.format('i.error IS NOT NULL AND i.status = %L', status_filter)
        ELSE pg_catalog.format('i.status = %L', status_filter) END;
    RETURN QUERY EXECUTE pg_catalog.format(
        'SELECT i.id FROM df.instances i WHERE %s ORDER BY i.id DESC LIMIT %s',
        pg_catalog.array_to_string(conditions, ' AND '), most);
END $$;
