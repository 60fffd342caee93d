-- Ask for the end of an instance. Inserts a request; updates nothing.
SELECT df.cancel(%(id)s, %(reason)s)
