-- Whether a worker has been seen within its lease. Locks: none.
SELECT df._worker_alive()
