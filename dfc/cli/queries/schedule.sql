-- A schedule of this role as it is now: an expression or the name of a definition, and what else it says. Locks: none.
SELECT s.workflow, pg_catalog.jsonb_build_object(
           'cron', s.cron, 'time_zone', s.time_zone, 'input', s.input, 'overlap', s.overlap, 'catch_up', s.catch_up)
FROM df.schedules s
WHERE s.submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole AND s.name = %(name)s
