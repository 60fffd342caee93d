-- A signal to all instances with a label that have not ended; NULL data is left out. Locks: those of df.signal_all.
SELECT df.signal_all(%(label)s, %(name)s, coalesce(%(data)s::text, '{}'), %(key)s::text)
