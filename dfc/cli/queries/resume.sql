-- Let a paused instance go on. Inserts a request; updates nothing. Locks: those of df.resume_instance.
SELECT df.resume_instance(%(id)s)
