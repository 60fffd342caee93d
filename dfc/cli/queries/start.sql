-- Start a compiled plan together with the expression it came from. What is not given has df.start's default.
-- Locks: those of df.start.
SELECT df.start(
    %(plan)s::jsonb, label => %(label)s, database => %(database)s,
    transaction_mode => coalesce(%(transaction_mode)s, 'caller'), input => %(input)s::jsonb,
    idempotency_key => %(idempotency_key)s, priority => %(priority)s::integer, queue => %(queue)s,
    start_at => %(start_at)s::timestamptz, timeout => %(timeout)s::text, concurrency_key => %(concurrency_key)s,
    concurrency_limit => %(concurrency_limit)s::integer, debounce_key => %(debounce_key)s,
    debounce => %(debounce)s::text)
