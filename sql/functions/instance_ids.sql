-- The ids of instances by status and label, the newest first: those of ids below `before`, at most `most`.
--
-- An id begins with the time of its start, so the newest are the greatest and the primary key is the index. Where a status has
-- few of many, each of its conditions is one that an index has: what is pending is in five, what has an error in one,
-- what runs in the view df.claimed. These are sorted by a computed id, so that nobody walks through the primary key
-- instead. The values are put into the text of the query, so that it is planned for them. A pending cancel request
-- counts as in df.status. Locks: none. SECURITY INVOKER: the caller's policies hold.
CREATE OR REPLACE FUNCTION df._instance_ids(status_filter text, label_filter text, before text, most integer)
RETURNS SETOF text
LANGUAGE plpgsql STABLE ROWS 100 AS $$
DECLARE
    common text := 'true';
    -- Of those that go on most have not been asked to end; for the others df.status knows.
    unasked constant text := $c$(NOT i.paused AND i.id NOT IN (SELECT r.instance_id FROM df.requests r WHERE r.kind IN ('cancel', 'pause', 'resume'))
                                 OR df.status(i.id) = i.status)$c$;
    arms text[];
BEGIN
    -- The policy says the same; said with a constant, it lets the planner see whether one has few of many.
    IF pg_catalog.row_security_active('df.instances') THEN
        common := pg_catalog.format('i.submitted_by = %L::regrole', pg_catalog.quote_ident(CURRENT_USER));
    END IF;
    common := pg_catalog.concat_ws(' AND ', common, 'i.label = ' || pg_catalog.quote_literal(label_filter),
                                   'i.id < ' || pg_catalog.quote_literal(before));
    arms := CASE
        WHEN status_filter IS NULL THEN ARRAY['true']
        WHEN status_filter = 'pending' THEN ARRAY[
            'i.started_at IS NULL AND i.ready AND NOT i.paused AND i.concurrency_key IS NULL AND ' || unasked,
            'i.started_at IS NULL AND i.ready AND NOT i.paused AND i.concurrency_key IS NOT NULL AND ' || unasked,
            'i.started_at IS NULL AND NOT i.ready AND NOT i.held AND ' || unasked,
            'i.started_at IS NULL AND i.held AND i.concurrency_key IS NOT NULL AND ' || unasked,
            $c$i.paused AND i.ready AND i.started_at IS NULL AND df.status(i.id) = 'pending'$c$]
        WHEN status_filter = 'running' THEN ARRAY[
            $c$i.id IN (SELECT c.instance_id FROM df.claimed c) AND i.status = 'running' AND $c$ || unasked]
        WHEN status_filter = 'cancelled' THEN ARRAY[
            $c$i.error IS NOT NULL AND i.status = 'cancelled'$c$,
            $c$i.id IN (SELECT r.instance_id FROM df.requests r WHERE r.kind = 'cancel')
               AND i.completed_at IS NULL AND df.status(i.id) = 'cancelled'$c$]
        WHEN status_filter = 'paused' THEN ARRAY[
            $c$i.paused AND df.status(i.id) = 'paused'$c$,
            $c$i.id IN (SELECT r.instance_id FROM df.requests r WHERE r.kind = 'pause')
               AND NOT i.paused AND df.status(i.id) = 'paused'$c$]
        WHEN status_filter IN ('failed', 'compensated') THEN ARRAY[
            pg_catalog.format('i.error IS NOT NULL AND i.status = %L', status_filter)]
        WHEN status_filter = 'completed' THEN ARRAY[$c$i.status = 'completed'$c$] END;
    IF arms IS NULL THEN
        -- No instance is that; the whole table would be looked through to see it.
        RETURN;
    END IF;
    RETURN QUERY EXECUTE (
        SELECT 'SELECT f.id FROM (' || pg_catalog.string_agg(pg_catalog.format(
            '(SELECT i.id FROM df.instances i WHERE %s AND %s ORDER BY %s DESC LIMIT %s)', common, a.condition,
            CASE WHEN pg_catalog.strpos(a.condition, 'df.status') > 0 THEN $o$i.id || ''$o$ ELSE 'i.id' END, most), ' UNION ALL ')
            || ') AS f(id) ORDER BY f.id DESC LIMIT ' || most
        FROM pg_catalog.unnest(arms) AS a(condition));
END $$;
