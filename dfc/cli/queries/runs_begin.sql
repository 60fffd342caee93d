-- A new run of a file; older ones that did not end are given up. Locks: the rows of the file's open runs.
WITH given_up AS (
    UPDATE dfc_run.runs SET finished_at = pg_catalog.clock_timestamp()
    WHERE file = %(file)s AND finished_at IS NULL
)
INSERT INTO dfc_run.runs (file, content_hash) VALUES (%(file)s, %(content_hash)s) RETURNING id
