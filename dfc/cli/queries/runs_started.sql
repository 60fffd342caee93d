-- The run has started a workflow and waits for it. In the transaction of df.start.
UPDATE dfc_run.runs SET instance_id = %(instance)s WHERE id = %(run)s
