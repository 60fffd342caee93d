-- The schedules that the caller may see, with what has been asked of them and no worker has seen yet: such a one has no
-- next tick so far. note says which ticks were passed over; skipped is how many, because the one before still ran.
-- Locks: none.
CREATE OR REPLACE VIEW df.schedules WITH (security_invoker = true) AS
SELECT n.name,
       CASE WHEN c.id IS NULL THEN s.cron ELSE c.cron END AS cron,
       CASE WHEN c.id IS NULL THEN s.time_zone ELSE c.time_zone END AS time_zone,
       CASE WHEN c.id IS NULL THEN s.workflow ELSE c.workflow END AS workflow,
       CASE WHEN c.id IS NULL THEN s.input ELSE c.input END AS input,
       CASE WHEN c.id IS NULL THEN s.overlap ELSE c.overlap END AS overlap,
       CASE WHEN c.id IS NULL THEN s.catch_up ELSE c.catch_up END AS catch_up,
       f.paused,
       CASE WHEN NOT f.paused THEN t.ticks[1] END AS next_at,
       CASE WHEN NOT f.paused THEN t.ticks END AS next_ticks,
       s.last_at, s.last_instance, s.last_error, s.note, coalesce(s.skipped, 0) AS skipped,
       n.owner AS submitted_by
FROM (SELECT a.owner, a.name FROM df.schedule_states a UNION SELECT b.owner, b.name FROM df.schedule_changes b) AS n
LEFT JOIN LATERAL (
    SELECT x.* FROM df.schedule_changes x
    WHERE x.owner = n.owner AND x.name = n.name AND x.change IN ('set', 'drop') ORDER BY x.id DESC LIMIT 1) AS c ON true
LEFT JOIN LATERAL (
    SELECT max(x.id) AS id FROM df.schedule_changes x
    WHERE x.owner = n.owner AND x.name = n.name AND x.change = 'drop') AS d ON true
LEFT JOIN df.schedule_states s ON s.owner = n.owner AND s.name = n.name AND d.id IS NULL
LEFT JOIN LATERAL (
    SELECT x.change = 'pause' AS paused FROM df.schedule_changes x
    WHERE x.owner = n.owner AND x.name = n.name AND x.change IN ('pause', 'resume') AND x.id > coalesce(d.id, 0)
    ORDER BY x.id DESC LIMIT 1) AS p ON true
CROSS JOIN LATERAL (SELECT coalesce(p.paused, s.paused, false) AS paused) AS f
CROSS JOIN LATERAL (
    SELECT CASE WHEN c.id IS NULL OR (c.cron, c.time_zone) = (s.cron, s.time_zone) THEN s.ticks END AS ticks) AS t
WHERE CASE c.change WHEN 'drop' THEN false WHEN 'set' THEN true ELSE s.id IS NOT NULL END;
