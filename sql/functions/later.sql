-- What the language has and this version does not run yet. Each exists with its arguments, so that a call says
-- so instead of "function does not exist". A duration is anycompatible: a text, an interval, a number of seconds.
-- What is missing are the policies of df.sql, df.step and df.http and on_failure of df.join and df.parallel: each
-- default costs every call of those about a microsecond, and a name cannot be given to a VARIADIC call at all.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._later(what text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION '% is not executable yet', what USING ERRCODE = '0A000',
        HINT = 'This version runs SQL and HTTP steps, chains (~>), joins (&), fan-outs (|=>) and names.';
END $$;

CREATE OR REPLACE FUNCTION df.race(a text, b text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.race (|)') $$;
CREATE OR REPLACE FUNCTION df.race(VARIADIC branches text[]) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.race') $$;
CREATE OR REPLACE FUNCTION df.if_then_op(condition text, then_branch text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('?>') $$;
CREATE OR REPLACE FUNCTION df.if_else_op(partial text, else_branch text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('!>') $$;
CREATE OR REPLACE FUNCTION df.loop_prefix_op(body text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('@>') $$;
CREATE OR REPLACE FUNCTION df.if(condition text, then_branch text, else_branch text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.if') $$;
CREATE OR REPLACE FUNCTION df.if_rows(result_name text, then_branch text, else_branch text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.if_rows') $$;
CREATE OR REPLACE FUNCTION df.loop(body text, condition text DEFAULT NULL, compensate text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.loop') $$;
CREATE OR REPLACE FUNCTION df.break(value anycompatible DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.break') $$;
CREATE OR REPLACE FUNCTION df.map(
    items text, body text, name text DEFAULT NULL, max_parallel integer DEFAULT NULL,
    batch_size integer DEFAULT NULL, on_error text DEFAULT NULL, max_attempts integer DEFAULT NULL,
    backoff anycompatible DEFAULT NULL, max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL,
    retry_on text[] DEFAULT NULL, no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL,
    rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL, delivery text DEFAULT NULL,
    database text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.map') $$;
CREATE OR REPLACE FUNCTION df.sleep(seconds double precision) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.sleep') $$;
CREATE OR REPLACE FUNCTION df.sleep(seconds text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.sleep') $$;
CREATE OR REPLACE FUNCTION df.sleep(seconds interval) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.sleep') $$;
CREATE OR REPLACE FUNCTION df.wait_until(at timestamptz) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.wait_until') $$;
CREATE OR REPLACE FUNCTION df.wait_for_schedule(cron_expr text, time_zone text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.wait_for_schedule') $$;
CREATE OR REPLACE FUNCTION df.wait_for_signal(name text, timeout_seconds anycompatible DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.wait_for_signal') $$;
CREATE OR REPLACE FUNCTION df.wait_for(
    query text, every anycompatible DEFAULT NULL, timeout anycompatible DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.wait_for') $$;
CREATE OR REPLACE FUNCTION df.http_multipart(
    url text, method text DEFAULT NULL, parts jsonb DEFAULT NULL, headers jsonb DEFAULT NULL,
    timeout_seconds integer DEFAULT NULL, max_attempts integer DEFAULT NULL,
    backoff anycompatible DEFAULT NULL, max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL,
    retry_on text[] DEFAULT NULL, no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL,
    on_error text DEFAULT NULL, rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL,
    delivery text DEFAULT NULL, database text DEFAULT NULL, retry_unsafe boolean DEFAULT NULL,
    retry_after_max anycompatible DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.http_multipart') $$;
CREATE OR REPLACE FUNCTION df.atomic(
    body text, max_attempts integer DEFAULT NULL, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL, on_error text DEFAULT NULL,
    rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL, delivery text DEFAULT NULL,
    database text DEFAULT NULL, autocommit boolean DEFAULT NULL, isolation text DEFAULT NULL,
    settings jsonb DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.atomic') $$;
CREATE OR REPLACE FUNCTION df.call(
    workflow text, input jsonb DEFAULT NULL, max_attempts integer DEFAULT NULL,
    backoff anycompatible DEFAULT NULL, max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL,
    retry_on text[] DEFAULT NULL, no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL,
    on_error text DEFAULT NULL, rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL,
    delivery text DEFAULT NULL, database text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.call') $$;
CREATE OR REPLACE FUNCTION df.wait_for_instance(instance_id text, timeout anycompatible DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.wait_for_instance') $$;
CREATE OR REPLACE FUNCTION df.retry(
    body text, max_attempts integer, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.retry') $$;
CREATE OR REPLACE FUNCTION df.timeout(body text, duration anycompatible, else_branch text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.timeout') $$;
CREATE OR REPLACE FUNCTION df.try(body text, catch text, finally text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.try') $$;
CREATE OR REPLACE FUNCTION df.compensate("do" text, undo text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.compensate') $$;
CREATE OR REPLACE FUNCTION df.signal(instance_id text, signal_name text, signal_data text DEFAULT '{}', dedupe_key text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.signal') $$;
CREATE OR REPLACE FUNCTION df.signal(instance_id text, signal_name text, signal_data jsonb, dedupe_key text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.signal') $$;
CREATE OR REPLACE FUNCTION df.signal_all(label text, signal_name text, signal_data text DEFAULT '{}', dedupe_key text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.signal_all') $$;
CREATE OR REPLACE FUNCTION df.define(name text, body text, params jsonb DEFAULT NULL, on_failure text DEFAULT NULL, queue text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.define') $$;
CREATE OR REPLACE FUNCTION df.schedule(name text, cron text, workflow text, input jsonb DEFAULT NULL, time_zone text DEFAULT NULL, overlap text DEFAULT 'skip', catch_up text DEFAULT 'last') RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.schedule') $$;
CREATE OR REPLACE FUNCTION df.pause_schedule(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.pause_schedule') $$;
CREATE OR REPLACE FUNCTION df.resume_schedule(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.resume_schedule') $$;
CREATE OR REPLACE FUNCTION df.unschedule(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.unschedule') $$;
CREATE OR REPLACE FUNCTION df.retry_instance(instance_id text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.retry_instance') $$;
CREATE OR REPLACE FUNCTION df.fork_instance(instance_id text, from_step text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.fork_instance') $$;
CREATE OR REPLACE FUNCTION df.pause_instance(instance_id text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.pause_instance') $$;
CREATE OR REPLACE FUNCTION df.resume_instance(instance_id text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.resume_instance') $$;
CREATE OR REPLACE FUNCTION df.explain(input text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.explain') $$;
CREATE OR REPLACE FUNCTION df.list_instances(status_filter text DEFAULT NULL, limit_count integer DEFAULT 100) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.list_instances') $$;
CREATE OR REPLACE FUNCTION df.list_instances(status_filter text, limit_count integer, label_filter text, after_cursor text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.list_instances') $$;
CREATE OR REPLACE FUNCTION df.instance_info(instance_id text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.instance_info') $$;
CREATE OR REPLACE FUNCTION df.instance_nodes(instance_id_param text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.instance_nodes') $$;
CREATE OR REPLACE FUNCTION df.instance_executions(instance_id text, limit_count integer DEFAULT 5) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.instance_executions') $$;
CREATE OR REPLACE FUNCTION df.metrics() RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.metrics') $$;
CREATE OR REPLACE FUNCTION df.setvar(name text, value text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.setvar') $$;
CREATE OR REPLACE FUNCTION df.getvar(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.getvar') $$;
CREATE OR REPLACE FUNCTION df.unsetvar(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.unsetvar') $$;
CREATE OR REPLACE FUNCTION df.clearvars() RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.clearvars') $$;
CREATE OR REPLACE FUNCTION df.run(instance_id text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.run') $$;
