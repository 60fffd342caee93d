-- Waiting for the end of an instance.

-- Whether a row version is of this very transaction, a subtransaction included: we see it, and it is not yet
-- committed. `made_by` is the row's xmin. Locks: none.
CREATE OR REPLACE FUNCTION df._is_own(made_by xid) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    top constant bigint := pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint;
    -- An xid has 32 bits and wraps around: the distance to the snapshot's end is what counts.
    distance constant bigint := ((made_by::text::bigint - (top & 4294967295) + 2147483648) & 4294967295) - 2147483648;
BEGIN
    RETURN distance >= 0 OR pg_catalog.pg_xact_status((top + distance)::text::xid8) = 'in progress';
END $$;

-- What both ways of waiting refuse, and the id's existence. Locks: none.
CREATE OR REPLACE FUNCTION df._check_await(instance_id text, timeout_seconds integer, what text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    own boolean;
    submitter name;
    served boolean;
BEGIN
    IF instance_id IS NULL OR (timeout_seconds > 0) IS NOT TRUE THEN
        RAISE EXCEPTION '%', CASE WHEN instance_id IS NULL THEN 'Instance not found: NULL' ELSE 'Timeout must be positive' END
            USING ERRCODE = '22023', DETAIL = 'There is nothing to wait for.', HINT = what || '(id, timeout_seconds) takes an id and a number of seconds over 0.';
    ELSIF pg_catalog.current_setting('df.in_workflow', true) IN ('true', 'on', '1') THEN
        RAISE EXCEPTION '%() cannot be called inside a workflow', what USING ERRCODE = '55000',
            DETAIL = 'A step that waits would hold its connection and block its worker.',
            HINT = 'Chain the steps with ~> instead.';
    END IF;
    SELECT i.status = 'pending' AND df._is_own(i.xmin), pg_catalog.pg_get_userbyid(i.submitted_by::oid) INTO own, submitter
    FROM df.instances i WHERE i.id = instance_id;
    IF own IS NULL THEN
        IF EXISTS (SELECT FROM df.archived a WHERE a.id = instance_id) THEN
            RETURN;
        END IF;
        RAISE EXCEPTION 'Instance not found: %', instance_id USING ERRCODE = 'P0002',
            DETAIL = 'There is nothing to wait for: it is unknown here, or of another role.',
            HINT = 'SELECT id, label FROM df.instances shows yours.';
    ELSIF own THEN
        RAISE EXCEPTION 'instance % was started in this transaction', instance_id USING ERRCODE = '55000',
            DETAIL = 'No worker sees it before this transaction commits.', HINT = 'COMMIT first, then wait.';
    END IF;
    served := df._is_served(submitter);
    IF served IS NULL THEN
        RAISE NOTICE 'no worker is alive: instance % cannot get on', instance_id
            USING HINT = 'Start one: dfc worker --database ...';
    ELSIF NOT served THEN
        RAISE WARNING 'no worker serves role %: instance % cannot get on', pg_catalog.quote_ident(submitter), instance_id
            USING HINT = df._way_to_be_served(submitter);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION df._await_timed_out(instance_id text, timeout_seconds integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    submitter constant name := (SELECT pg_catalog.pg_get_userbyid(i.submitted_by::oid) FROM df.instances i WHERE i.id = $1);
    served constant boolean := df._is_served(submitter);
BEGIN
    RAISE EXCEPTION 'Timeout after %s waiting for instance % (status: %). Check if background worker is running.',
        timeout_seconds, instance_id, df.status(instance_id) USING ERRCODE = 'P0001',
        DETAIL = CASE WHEN served THEN 'A worker is alive.' WHEN served IS NULL THEN 'No worker has been seen.'
                      ELSE 'No worker serves role ' || pg_catalog.quote_ident(submitter) || '.' END,
        HINT = CASE WHEN served THEN 'Wait longer, or look at df.nodes.'
                    WHEN served IS NULL THEN 'Start one: dfc worker --database ...' ELSE df._way_to_be_served(submitter) END;
END $$;

-- How long a pause has lasted in truth, with the look before it: what the clock says, unless it has been set meanwhile.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._lasted(pause double precision, by_the_clock interval) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
    SELECT LEAST(GREATEST(pg_catalog.date_part('epoch', by_the_clock), pause), pause + 1)
$$;

-- Waits and gives the status it ended with. It holds a snapshot of the caller's transaction only while it looks,
-- but the transaction stays open: CALL df.await(...) does not. Looks after 5 ms, then each time
-- after 1.3 times the last pause, up to 100 ms: a short workflow is seen at once, a long one costs ten looks a
-- second, and the answer is late by at most 0.1 s and by about a third of the wait. The numbers are our choice.
-- NULL gives NULL, as pg_durable has it. Raises 55000 where it could never see the end. Locks: none.
CREATE OR REPLACE FUNCTION df.await_instance(instance_id text, timeout_seconds integer DEFAULT 30) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    looked timestamptz := pg_catalog.clock_timestamp();
    waited double precision := 0;
    pause double precision := 0.005;
    ending text;
BEGIN
    IF instance_id IS NULL OR timeout_seconds IS NULL THEN
        RETURN NULL;
    ELSIF pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION 'df.await_instance() cannot be used at isolation level %',
            pg_catalog.current_setting('transaction_isolation') USING ERRCODE = '55000',
            DETAIL = 'The transaction would never see the instance end.', HINT = 'Wait in a READ COMMITTED transaction.';
    END IF;
    PERFORM df._check_await(instance_id, timeout_seconds, 'df.await_instance');
    LOOP
        SELECT i.status INTO ending FROM df.instances i WHERE i.id = $1 AND df._has_ended(i.id, i.completed_at)
        UNION ALL SELECT a.status FROM df.archived a WHERE a.id = $1;
        IF FOUND THEN
            RETURN df._helper_said('df.await_instance', ending);
        END IF;
        IF waited >= timeout_seconds THEN
            PERFORM df._await_timed_out(instance_id, timeout_seconds);
        END IF;
        PERFORM pg_catalog.pg_sleep(pause);
        waited := waited + df._lasted(pause, pg_catalog.clock_timestamp() - looked);
        looked := pg_catalog.clock_timestamp();
        pause := LEAST(pause * 1.3, 0.1);
    END LOOP;
END $$;

-- The same as a procedure that commits between its looks, so that it holds no snapshot: outside a transaction
-- block only (PostgreSQL says 2D000 otherwise). Locks: none.
CREATE OR REPLACE PROCEDURE df.await(instance_id text, timeout_seconds integer DEFAULT 30, INOUT status text DEFAULT NULL)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    looked timestamptz := pg_catalog.clock_timestamp();
    waited double precision := 0;
    pause double precision := 0.005;
    ending text;
BEGIN
    PERFORM df._check_await($1, $2, 'df.await');
    LOOP
        SELECT i.status INTO ending FROM df.instances i WHERE i.id = $1 AND df._has_ended(i.id, i.completed_at)
        UNION ALL SELECT a.status FROM df.archived a WHERE a.id = $1;
        IF FOUND THEN
            $3 := ending;
            RETURN;
        END IF;
        IF waited >= timeout_seconds THEN
            PERFORM df._await_timed_out($1, $2);
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(pause);
        waited := waited + df._lasted(pause, pg_catalog.clock_timestamp() - looked);
        looked := pg_catalog.clock_timestamp();
        pause := LEAST(pause * 1.3, 0.1);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION df.wait_for_completion(instance_id text, timeout_seconds integer DEFAULT 30) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE WARNING 'df.wait_for_completion is deprecated' USING HINT = 'Use df.await_instance.';
    RETURN df.await_instance(instance_id, timeout_seconds);
END $$;
