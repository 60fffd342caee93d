-- How many signals of an instance nobody has waited for yet. This version has no signals. Locks: none.
CREATE OR REPLACE FUNCTION df._unread_signals(instance text) RETURNS bigint
LANGUAGE sql STABLE AS $$ SELECT 0::bigint $$;
