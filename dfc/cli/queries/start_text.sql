-- Start an expression, a plain statement or a defined workflow. Locks: those of df.start.
SELECT df.start(%(text)s::text, label => %(label)s, input => %(input)s::jsonb, idempotency_key => %(idempotency_key)s,
                priority => %(priority)s::integer, queue => %(queue)s, start_at => %(start_at)s::timestamptz)
