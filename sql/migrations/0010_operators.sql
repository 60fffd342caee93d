-- What operators do with instances: pause and resume, retry, fork.

-- pause and resume: the latest of both counts. retry is the one request that is made of what has ended.
ALTER TABLE df.requests DROP CONSTRAINT requests_kind_check,
    ADD CONSTRAINT requests_kind_check CHECK (kind IN ('cancel', 'wake', 'pause', 'resume', 'retry'));

DROP POLICY requests_ask ON df.requests;
CREATE POLICY requests_ask ON df.requests FOR INSERT
    WITH CHECK (requested_by = pg_catalog.quote_ident(CURRENT_USER)::regrole
                AND EXISTS (SELECT FROM df.instances i
                            WHERE i.id = instance_id AND (i.completed_at IS NOT NULL) = (kind = 'retry')));

-- paused: no claim takes it, until a request to resume it has been carried out, or one to cancel it comes.
-- forked_from: the instance that it has taken over what came before fork_step from.
-- retrying: it had failed, and is to go on from there: what led to that has not been forgotten yet.
ALTER TABLE df.instances
    ADD COLUMN paused boolean NOT NULL DEFAULT false,
    ADD COLUMN retrying boolean NOT NULL DEFAULT false,
    ADD COLUMN forked_from text,
    ADD COLUMN fork_step text,
    ADD CONSTRAINT instances_forked CHECK ((forked_from IS NULL) = (fork_step IS NULL)),
    ADD CONSTRAINT instances_paused CHECK (NOT paused OR completed_at IS NULL);

-- A claim looks for what is pending and not paused.
DROP INDEX df.instances_pending;
CREATE INDEX instances_pending ON df.instances (submitted_by, queue, priority DESC, id)
    WHERE started_at IS NULL AND ready AND NOT paused;
CREATE INDEX instances_paused ON df.instances (id) WHERE paused;

-- What makes room for functions that now take other arguments or give other columns.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND (
            (p.proname = '_claim' AND NOT 'retrying' = ANY (p.proargnames))
            OR p.proname = '_later'
            OR (p.proname = 'fork_instance' AND p.pronargs = 2)
            OR (p.proname = '_park' AND NOT 'pausing' = ANY (p.proargnames))
            OR (p.proname = '_cancels' AND NOT 'kind' = ANY (p.proargnames)))
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
