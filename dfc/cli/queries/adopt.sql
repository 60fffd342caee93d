-- Declare this database the original.
SELECT df._adopt(%(cluster)s)
