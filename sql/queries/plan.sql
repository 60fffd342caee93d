-- The plan that an instance is pinned to. Locks: none.
SELECT i.plan::text, i.plan_hash FROM df.instances AS i WHERE i.id = $1
