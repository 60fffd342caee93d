-- How many signals an instance has got that no step has taken yet. Locks: none. SECURITY INVOKER.
CREATE OR REPLACE FUNCTION df._unread_signals(instance text) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.count(*) FROM df.signals s WHERE s.instance_id = instance AND NOT s.taken
$$;
