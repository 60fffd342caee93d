-- The run has come to its end, good or bad: the next one starts anew. Locks: the row of the run.
UPDATE dfc_run.runs SET finished_at = pg_catalog.clock_timestamp() WHERE id = %(run)s
