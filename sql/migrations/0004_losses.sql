-- Lost attempts are counted beside failed ones; a parked instance knows of the cancel that its driver knew of.
ALTER TABLE df.attempts ADD COLUMN losses integer NOT NULL DEFAULT 0 CHECK (losses >= 0),
    DROP CONSTRAINT attempts_failed,
    DROP CONSTRAINT attempts_something,
    ADD CONSTRAINT attempts_failed CHECK ((attempts + losses > 0) = (last_error IS NOT NULL)
                                      AND (attempts + losses > 0) = (next_attempt_at IS NOT NULL)),
    ADD CONSTRAINT attempts_something CHECK (attempts + losses > 0 OR begun_at IS NOT NULL);

-- An instance that was cancelled and undoes what it has done may have to wait, too: the request does not wake it.
ALTER TABLE df.fences ADD COLUMN cancel_known boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT fences_cancel_known CHECK (wake_at IS NOT NULL OR NOT cancel_known);

-- What makes room for functions that now take other arguments or give other columns.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND (
            (p.proname IN ('_record_attempt', '_history') AND NOT 'losses' = ANY (p.proargnames))
            OR (p.proname = '_take_turn' AND NOT 'path' = ANY (p.proargnames))
            OR (p.proname = '_park' AND NOT 'cancel_known' = ANY (p.proargnames)))
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
