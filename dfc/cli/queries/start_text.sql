-- Start an expression or a plain statement. Locks: those of df.start.
SELECT df.start(%(text)s::text, label => %(label)s)
