-- The run has started a workflow and waits for it. In the transaction of df.start. Locks: the row of the run.
UPDATE dfc_run.runs SET instance_id = %(instance)s WHERE id = %(run)s
