-- Takes everything from the workers of the older version, as if they had died: nothing that they do counts any more, their
-- steps roll back, and their next heartbeat tells them (docs/adr/0035-upgrades.md).
-- Locks: df.workers EXCLUSIVE, then df.fences ACCESS EXCLUSIVE: the order in which a claim takes them.
LOCK TABLE df.workers IN EXCLUSIVE MODE;
LOCK TABLE df.fences IN ACCESS EXCLUSIVE MODE;
UPDATE df.fences SET worker = NULL,
    token = pg_catalog.decode(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', ''), 'hex');
DELETE FROM df.workers;
NOTIFY df_work;
