-- Steps of which an attempt has failed, or that may be attempted once only: how often, why the last time, and how they
-- stand: `waiting` (for next_attempt_at, or at work again), `completed` or `failed` as recorded, `stopped` where the
-- instance has ended without them. Only what waits has a next attempt. `losses`: attempts whose connection was lost.
-- What a step costs that has never failed is nothing: that it is done is read from its record.
-- Locks: none. security_invoker: everybody sees those of their own instances.
CREATE OR REPLACE VIEW df.attempts WITH (security_invoker = true) AS
SELECT a.instance_id,
       a.path,
       a.attempts,
       a.last_error,
       CASE WHEN c.kind IS NULL AND i.completed_at IS NULL THEN a.next_attempt_at END AS next_attempt_at,
       a.begun_at,
       coalesce(c.kind, CASE WHEN i.completed_at IS NULL THEN 'waiting' ELSE 'stopped' END) AS status,
       a.losses
FROM df.attempts_made a
JOIN df.instances i ON i.id = a.instance_id
LEFT JOIN df.checkpoints c ON c.instance_id = a.instance_id AND c.path = a.path;
