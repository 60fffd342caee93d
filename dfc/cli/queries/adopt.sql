-- Declare this database the original. Locks: those of df._adopt.
SELECT df._adopt(%(cluster)s)
