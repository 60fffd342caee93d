-- Start a compiled plan together with the expression it came from. Locks: those of df.start.
SELECT df.start(%(plan)s::jsonb, label => %(label)s)
