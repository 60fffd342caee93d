-- A length of time as the wire text has it: [months,days,microseconds], the three numbers of an interval.
-- The builders take it as anycompatible, so there is a function for each kind: text, interval, number of seconds.
-- NULL stays NULL: not given. `what` names function and argument. Raises DF166, DF159. Locks: none.

CREATE OR REPLACE FUNCTION df._duration(length interval, what text, zero_allowed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    problem text;
BEGIN
    IF length IS NULL THEN
        RETURN NULL;
    ELSIF NOT pg_catalog.isfinite(length) THEN
        problem := 'has no end';
    ELSIF length < interval '0' THEN
        problem := 'is negative';
    ELSIF length = interval '0' AND NOT zero_allowed THEN
        problem := 'is zero';
    ELSIF length > interval '100 years' THEN
        RAISE EXCEPTION '%: the duration ''%'' is over 100 years', what, length USING ERRCODE = 'DF166',
            DETAIL = 'A number is a number of seconds.', HINT = 'Give a shorter duration.';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%: the duration ''%'' %', what, length, problem USING ERRCODE = 'DF166',
            DETAIL = 'A duration is a length of time from now on; a month counts as 30 days here, a day as 24 hours.',
            HINT = CASE WHEN zero_allowed THEN 'Give a duration of zero or more.' ELSE 'Give a duration over zero.' END;
    END IF;
    RETURN pg_catalog.format('[%s,%s,%s]',
        (extract(year FROM length) * 12 + extract(month FROM length))::bigint,
        extract(day FROM length)::bigint,
        (extract(hour FROM length) * 3600000000 + extract(minute FROM length) * 60000000 + extract(microseconds FROM length))::bigint);
END $$;

-- The SET clause: what '-1 2:00' means would otherwise depend on the session.
CREATE OR REPLACE FUNCTION df._duration(length text, what text, zero_allowed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET IntervalStyle = 'postgres' AS $$
BEGIN
    RETURN df._duration(length::interval, what, zero_allowed);
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow OR interval_field_overflow THEN
    RAISE EXCEPTION '%: ''%'' is not a duration', what, length USING ERRCODE = 'DF166', DETAIL = SQLERRM,
        HINT = 'Write it as ''90 s'' or ''1 hour 30 min'', or as a number of seconds.';
END $$;

-- Not every version of PostgreSQL looks at the range of make_interval's argument.
CREATE OR REPLACE FUNCTION df._duration(seconds double precision, what text, zero_allowed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF pg_catalog.abs(seconds) > 9e12 THEN
        RAISE EXCEPTION '%: % seconds are not a duration', what, seconds USING ERRCODE = 'DF166',
            DETAIL = 'A duration given as a number has at most 9e12 seconds.', HINT = 'Give a smaller number of seconds.';
    END IF;
    RETURN df._duration(pg_catalog.make_interval(secs => seconds), what, zero_allowed);
END $$;

-- Everything else.
CREATE OR REPLACE FUNCTION df._duration(value anyelement, what text, zero_allowed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION '%: a % is not a duration', what, pg_catalog.pg_typeof(value) USING ERRCODE = 'DF159',
            DETAIL = 'All durations of a call are of one type.',
        HINT = 'Give a text like ''90 s'', an interval or a number of seconds.';
END $$;
