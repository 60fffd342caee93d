-- Start an expression or a plain statement.
SELECT df.start(%(text)s::text, label => %(label)s)
