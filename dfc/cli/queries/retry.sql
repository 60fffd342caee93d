-- Let a failed instance go on from where it failed. Inserts a request; updates nothing. Locks: those of df.retry_instance.
SELECT df.retry_instance(%(id)s)
