-- Ask for the end of an instance. Inserts a request; updates nothing. Locks: those of df.cancel.
SELECT df.cancel(%(id)s, %(reason)s)
