-- Other databases in which steps of workflows run that have not ended. Locks: none.
SELECT DISTINCT used.name
FROM df.instances i
CROSS JOIN LATERAL (
    SELECT i.database AS name
    UNION ALL SELECT d #>> '{}' FROM jsonb_path_query(i.plan, 'strict $.**.policy.database') AS d
) AS used
WHERE i.completed_at IS NULL AND used.name <> current_database()
ORDER BY used.name
