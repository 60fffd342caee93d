-- What the language has and this version does not run yet. Each exists with its arguments, so that a call says
-- so instead of "function does not exist".
-- Locks: none.
CREATE OR REPLACE FUNCTION df._later(what text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION '% is not executable yet', what USING ERRCODE = '0A000',
        DETAIL = 'This comes in a later version.',
        HINT = 'This version runs SQL and HTTP steps, control flow, policies and undo.';
END $$;

CREATE OR REPLACE FUNCTION df.fork_instance(instance_id text, from_step text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._later('df.fork_instance') $$;
