-- The roles whose instances wait although a worker is alive.
SELECT role, waiting, oldest, hint FROM df._unserved()
