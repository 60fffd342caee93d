-- The roles whose instances wait although a worker is alive. Locks: none.
SELECT role, waiting, oldest, hint FROM df._unserved()
