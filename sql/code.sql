-- Everything that can be put in place again at any time: functions, triggers, views, operators, grants.
-- Run as a whole after the last migration, and again when its text has changed (df.meta.code_hash). What is
-- named here says CREATE OR REPLACE; a change that PostgreSQL does not let replace begins in a migration.
\ir functions/limits.sql
\ir functions/new_id.sql
\ir functions/new_token.sql
\ir functions/before_instance.sql
\ir functions/json_composite.sql
\ir functions/json_array.sql
\ir functions/json_value.sql
\ir functions/result_json.sql
\ir functions/result_of.sql
\ir functions/cancel_reason.sql
\ir functions/end_instance.sql
\ir functions/lock_fence.sql
\ir functions/wake.sql
\ir functions/worker_alive.sql
\ir functions/register_worker.sql
\ir functions/heartbeat.sql
\ir functions/unregister_worker.sql
\ir functions/dead_workers.sql
\ir functions/claim.sql
\ir functions/cancels.sql
\ir functions/store_plan.sql
\ir functions/history.sql
\ir functions/record.sql
\ir functions/finish.sql
\ir functions/checkpoint.sql
\ir functions/begin_step.sql
\ir functions/rows.sql
\ir functions/execute.sql
