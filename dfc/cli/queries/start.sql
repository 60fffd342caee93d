-- Start a compiled plan together with the expression it came from.
SELECT df.start(%(plan)s::jsonb, label => %(label)s)
