-- The number of the last checkpoint of an instance; null where it has none. Locks: none.
SELECT max(c.journal) FROM df.checkpoints AS c WHERE c.instance_id = $1
