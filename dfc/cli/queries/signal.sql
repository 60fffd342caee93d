-- A signal to one instance; NULL data is left out. Locks: those of df.signal.
SELECT df.signal(%(id)s, %(name)s, coalesce(%(data)s::text, '{}'), %(key)s::text)
