-- One more statement of the run is done. For a server statement in that statement's own transaction.
-- Locks: the row of the run.
UPDATE dfc_run.runs SET done = %(done)s, instance_id = NULL WHERE id = %(run)s
