-- Start an instance that begins at a part of another one's workflow. Locks: those of df.fork_instance.
SELECT df.fork_instance(%(id)s, %(step)s, %(label)s)
