-- How many seconds are left until `due_at`, below 0 when it is over. A length of time that began at `made_at` is never
-- more than itself: where the clock stands before its beginning it has been set back, and the whole of it is left. A
-- moment that was given (`fixed`) comes when the clock says so. Where `made_at` is null nothing is known of that.
-- Without a SET clause, so that PostgreSQL puts it in line. Locks: none.
CREATE OR REPLACE FUNCTION df._remaining(due_at timestamptz, made_at timestamptz, fixed boolean, moment timestamptz) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.date_part('epoch', due_at OPERATOR(pg_catalog.-) CASE WHEN fixed THEN moment ELSE GREATEST(moment, made_at) END)
$$;
