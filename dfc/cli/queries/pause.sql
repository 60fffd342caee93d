-- Have nothing new begin in an instance. Inserts a request; updates nothing. Locks: those of df.pause_instance.
SELECT df.pause_instance(%(id)s)
