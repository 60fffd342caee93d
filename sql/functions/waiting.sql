-- What waits: for a length of time, a moment, a tick of a schedule, a signal, a query, another workflow. Each
-- returns wire text. A text with a `$name` in it is kept as it is: its value is known when the step runs, and
-- compiler/templates.py writes the query that computes it. Everything else is looked at here. Locks: none.

-- Whether a text refers to something.
CREATE OR REPLACE FUNCTION df._refers(given text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT given ~ '[$][A-Za-z_]' $$;

-- Refuses an argument that is not there.
CREATE OR REPLACE FUNCTION df._refuse_null(what text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION '% is NULL', what USING ERRCODE = 'DF116',
        DETAIL = 'There is no default for it.', HINT = hint;
END $$;

-- A wait, as the JSON of its length. `sentence` is what is said of one that is negative (or zero, unless allowed).
-- Raises DF166.
CREATE OR REPLACE FUNCTION df._wait(length interval, what text, sentence text, zero_allowed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF length IS NULL THEN
        RETURN NULL;
    ELSIF pg_catalog.isfinite(length) AND (length < interval '0' OR (length = interval '0' AND NOT zero_allowed)) THEN
        RAISE EXCEPTION '%', sentence USING ERRCODE = 'DF166',
            DETAIL = pg_catalog.format('%s: the duration is %L.', what, length),
            HINT = CASE WHEN zero_allowed THEN 'Give a duration of zero or more.' ELSE 'Give a duration over zero.' END;
    END IF;
    RETURN df._duration(length, what, zero_allowed);
END $$;

-- The SET clause: as in df._duration.
CREATE OR REPLACE FUNCTION df._wait(length text, what text, sentence text, zero_allowed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET IntervalStyle = 'postgres' AS $$
BEGIN
    RETURN df._wait(length::interval, what, sentence, zero_allowed);
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow OR interval_field_overflow THEN
    RAISE EXCEPTION '%: ''%'' is not a duration', what, length USING ERRCODE = 'DF166', DETAIL = SQLERRM,
        HINT = 'Write it as ''90 s'' or ''1 hour 30 min'', or as a number of seconds.';
END $$;

CREATE OR REPLACE FUNCTION df._wait(seconds double precision, what text, sentence text, zero_allowed boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF pg_catalog.abs(seconds) > 9e12 THEN
        RETURN df._duration(seconds, what, zero_allowed);
    END IF;
    RETURN df._wait(pg_catalog.make_interval(secs => seconds), what, sentence, zero_allowed);
END $$;

CREATE OR REPLACE FUNCTION df._wait(value anyelement, what text, sentence text, zero_allowed boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._duration(value, what, zero_allowed) $$;

-- ',"timeout":[...]', empty where there is none.
CREATE OR REPLACE FUNCTION df._timeout_part(length text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT coalesce(',"timeout":' || length, '') $$;

CREATE OR REPLACE FUNCTION df.sleep(seconds interval) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF seconds IS NULL THEN
        PERFORM df._refuse_null('df.sleep: the duration', 'Give a number of seconds, a text like ''90 s'', or an interval.');
    END IF;
    RETURN df._wire('{"sleep":' || df._wait(seconds, 'df.sleep', 'Sleep duration must be non-negative', true) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.sleep(seconds double precision) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF seconds IS NULL THEN
        RETURN df.sleep(NULL::interval);
    END IF;
    RETURN df._wire('{"sleep":' || df._wait(seconds, 'df.sleep', 'Sleep duration must be non-negative', true) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.sleep(seconds text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF seconds IS NULL THEN
        RETURN df.sleep(NULL::interval);
    ELSIF df._refers(seconds) THEN
        RETURN df._wire('{"sleep":' || pg_catalog.to_json(seconds)::text || '}');
    END IF;
    RETURN df._wire('{"sleep":' || df._wait(seconds, 'df.sleep', 'Sleep duration must be non-negative', true) || '}');
END $$;

-- What df._moment refuses: a moment that never comes.
CREATE OR REPLACE FUNCTION df._check_moment(at timestamptz) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF at IS NULL THEN
        PERFORM df._refuse_null('df.wait_until: the time', 'Give a text like ''2030-01-31 12:00+00'', or a timestamptz.');
    ELSIF NOT pg_catalog.isfinite(at) THEN
        RAISE EXCEPTION 'df.wait_until: the time is %', at USING ERRCODE = 'DF181',
            DETAIL = 'Such a moment never comes, or has always been.', HINT = 'Give a time with a date, like ''2030-01-31 12:00+00''.';
    END IF;
END $$;

-- A moment that is known goes on as the same text in every session.
CREATE OR REPLACE FUNCTION df.wait_until(at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    utc constant timestamp := at AT TIME ZONE 'UTC';
BEGIN
    PERFORM df._check_moment(at);
    RETURN df._wire('{"wait_until":' || pg_catalog.to_json(
        pg_catalog.to_char(utc, 'YYYY-MM-DD HH24:MI:SS')
        || CASE WHEN pg_catalog.date_trunc('second', utc) <> utc THEN pg_catalog.to_char(utc, '.US') ELSE '' END
        || '+00' || CASE WHEN extract(year FROM utc) < 0 THEN ' BC' ELSE '' END)::text || '}');
END $$;

-- A text stays as it was written: it is read in the time zone of the start, when the step runs.
CREATE OR REPLACE FUNCTION df.wait_until(at text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF df._refers(at) IS NOT TRUE THEN
        BEGIN
            PERFORM df._check_moment(at::timestamptz);
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION 'df.wait_until: ''%'' is not a time', at USING ERRCODE = 'DF181', DETAIL = SQLERRM,
                HINT = 'Write it as ''2030-01-31 12:00+00''.';
        END;
    END IF;
    RETURN df._wire('{"wait_until":' || pg_catalog.to_json(at)::text || '}');
END $$;

-- The numbers that one field of a cron expression stands for; NULL: it is none. Names are numbers already.
CREATE OR REPLACE FUNCTION df._cron_numbers(field text, lowest integer, highest integer) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    item text;
    found text[];
    low integer;
    high integer;
    numbers integer[] := '{}';
BEGIN
    FOREACH item IN ARRAY pg_catalog.string_to_array(field, ',') LOOP
        found := pg_catalog.regexp_match(item, '^(?:([*])|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,4}))?$');
        IF found IS NULL OR found[4]::integer = 0 THEN
            RETURN NULL;
        END IF;
        low := coalesce(found[2]::integer, lowest);
        high := CASE WHEN found[2] IS NULL THEN highest ELSE coalesce(found[3]::integer, low) END;
        IF low < lowest OR high > highest OR high < low THEN
            RETURN NULL;
        END IF;
        -- One number with a step goes on to the end, as cronsim has it.
        IF high = low AND found[4] IS NOT NULL THEN
            high := highest;
        END IF;
        numbers := numbers || ARRAY(SELECT pg_catalog.generate_series(low, high, coalesce(found[4]::integer, 1)));
    END LOOP;
    RETURN numbers;
END $$;

-- What is wrong with a cron expression; NULL: nothing. The same as compiler/cron.py says.
CREATE OR REPLACE FUNCTION df._cron_fault(cron text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    fields constant text[] := pg_catalog.regexp_split_to_array(pg_catalog.btrim(cron, E' \t\n\r\f\v'), E'[ \t\n\r\f\v]+');
    kinds constant text[] := '{minute,hour,day of the month,month,day of the week}';
    lowest constant integer[] := '{0,0,1,1,0}';
    highest constant integer[] := '{59,23,31,12,7}';
    days constant integer[] := '{31,29,31,30,31,30,31,31,30,31,30,31}';
    names text[];
    field text;
    numbers integer[];
    wanted integer[];
BEGIN
    IF pg_catalog.cardinality(fields) <> 5 OR fields[1] = '' THEN
        RETURN pg_catalog.format('it has %s, not 5 fields', CASE WHEN fields[1] = '' THEN 0 ELSE pg_catalog.cardinality(fields) END);
    END IF;
    FOR number IN 1..5 LOOP
        field := pg_catalog.lower(fields[number]);
        names := CASE number WHEN 4 THEN '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}'::text[]
                             WHEN 5 THEN '{sun,mon,tue,wed,thu,fri,sat}' ELSE '{}' END;
        FOR name IN 1..pg_catalog.cardinality(names) LOOP
            field := pg_catalog.regexp_replace(field, '\m' || names[name] || '\M', (name + CASE number WHEN 4 THEN 0 ELSE -1 END)::text, 'g');
        END LOOP;
        numbers := df._cron_numbers(field, lowest[number], highest[number]);
        IF numbers IS NULL THEN
            RETURN pg_catalog.format('%L is no %s (%s to %s)', fields[number], kinds[number], lowest[number], highest[number]);
        ELSIF number = 3 THEN
            wanted := numbers;
        -- Where one of the two begins with a star, both the day of the month and that of the week have to be right.
        ELSIF number = 4 AND (pg_catalog.starts_with(fields[3], '*') OR pg_catalog.starts_with(fields[5], '*'))
              AND (SELECT pg_catalog.min(w) FROM pg_catalog.unnest(wanted) AS w)
                  > (SELECT pg_catalog.max(days[m]) FROM pg_catalog.unnest(numbers) AS m) THEN
            wanted := NULL;
        END IF;
    END LOOP;
    RETURN CASE WHEN wanted IS NULL THEN 'there is no such day, so that it never fires' END;
END $$;

-- Refuses what is no cron expression, and what is no time zone. Raises DF182, DF184.
CREATE OR REPLACE FUNCTION df._check_cron(what text, cron text, time_zone text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    fault text;
BEGIN
    IF cron IS NULL THEN
        PERFORM df._refuse_null(what || ': the cron expression', 'Give five fields, like ''*/5 * * * *''.');
    END IF;
    fault := df._cron_fault(cron);
    IF fault IS NOT NULL THEN
        RAISE EXCEPTION 'Invalid cron expression ''%'': %', cron, fault USING ERRCODE = 'DF182',
            DETAIL = 'The fields are minute, hour, day of the month, month and day of the week (0 or 7 is Sunday).',
            HINT = 'Write five fields with numbers, names, ranges, lists and steps: ''*/5 8-18 * * mon-fri''.';
    ELSIF time_zone IS NOT NULL AND NOT df._is_zone(time_zone) THEN
        RAISE EXCEPTION '%: ''%'' is not a time zone', what, time_zone USING ERRCODE = 'DF184',
            DETAIL = 'It has to be a name of the time zone database, in upper and lower case as it has it.',
            HINT = 'Write a name like ''Europe/Vienna''; SELECT name FROM pg_timezone_names has all of them.';
    END IF;
END $$;

-- UTC first: the view reads all files of the time zone database.
CREATE OR REPLACE FUNCTION df._is_zone(zone text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT zone = 'UTC' OR (zone ~ '^[A-Za-z]' AND zone !~ '^(posix|right)/|^(localtime|posixrules|Factory)$'
                            AND EXISTS (SELECT FROM pg_catalog.pg_timezone_names AS z WHERE z.name = zone))
$$;

CREATE OR REPLACE FUNCTION df.wait_for_schedule(cron_expr text, time_zone text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    PERFORM df._check_cron('df.wait_for_schedule', cron_expr, time_zone);
    RETURN df._wire('{"wait_for_schedule":' || pg_catalog.to_json(cron_expr)::text
                    || coalesce(',"time_zone":' || pg_catalog.to_json(time_zone)::text, '') || '}');
END $$;

-- Refuses a name of a signal, or an id, that is none. Raises DF116, DF185.
CREATE OR REPLACE FUNCTION df._check_word(what text, word text, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF word IS NULL THEN
        PERFORM df._refuse_null(what, hint);
    ELSIF pg_catalog.btrim(word, E' \t\n\r\f\v') = '' THEN
        RAISE EXCEPTION '% is empty', what USING ERRCODE = 'DF185', DETAIL = 'Nothing could ever match it.', HINT = hint;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION df.wait_for_signal(name text, timeout_seconds anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    PERFORM df._check_word('df.wait_for_signal: the name of the signal', name, 'Give the name that df.signal sends.');
    RETURN df._wire('{"wait_for_signal":' || pg_catalog.to_json(name)::text || df._timeout_part(
        df._wait(timeout_seconds, 'df.wait_for_signal: timeout_seconds', 'Timeout must be positive', false)) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.wait_for(
    query text, every anycompatible DEFAULT NULL, timeout anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    asked constant text := df._node(query);
BEGIN
    IF asked !~ '^[{]"(sql|http|multipart)":' THEN
        RAISE EXCEPTION 'df.wait_for: this is not one query' USING ERRCODE = 'DF180',
            DETAIL = 'What is asked again and again is one statement or request.',
            HINT = 'Give a query in quotes; for several steps write df.loop(steps ~> df.sleep(...), condition).';
    END IF;
    RETURN df._wire('{"wait_for":' || asked
        || ',"every":' || coalesce(df._wait(every, 'df.wait_for: every', 'df.wait_for: every is not over zero', false), '[0,0,10000000]')
        || df._timeout_part(df._wait(timeout, 'df.wait_for: timeout', 'Timeout must be positive', false)) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.call(
    workflow text, input jsonb DEFAULT NULL, max_attempts integer DEFAULT NULL,
    backoff anycompatible DEFAULT NULL, max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL,
    retry_on text[] DEFAULT NULL, no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL,
    on_error text DEFAULT NULL, rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL,
    delivery text DEFAULT NULL, database text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN df._wire('{"call":' || pg_catalog.to_json(df._name(workflow, 'df.call'))::text
        || coalesce(',"input":' || input::text, '') || df._policy(
        'df.call', max_attempts, df._duration(backoff, 'df.call: backoff', true),
        df._duration(max_backoff, 'df.call: max_backoff', false), jitter, retry_on, no_retry_on,
        df._duration(timeout, 'df.call: timeout', false), on_error, rate_limit, rate_key, delivery, database, NULL,
        NULL, NULL, NULL, NULL) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.wait_for_instance(instance_id text, timeout anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    PERFORM df._check_word('df.wait_for_instance: the id', instance_id, 'Give what df.start has returned, or a reference to it.');
    RETURN df._wire('{"wait_for_instance":' || pg_catalog.to_json(instance_id)::text || df._timeout_part(
        df._wait(timeout, 'df.wait_for_instance: timeout', 'Timeout must be positive', false)) || '}');
END $$;

-- What is refused where a reference has no value when the wait begins. Raises 22004.
CREATE OR REPLACE FUNCTION df._refuse_no_value(what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION '% is NULL', what USING ERRCODE = '22004',
        DETAIL = 'What it refers to has no value.', HINT = 'Give it a value before, or leave the step out with df.if.';
END $$;

-- What a wait computes when it runs: the queries that compiler/templates.py writes call these, in the submitter's session.
-- A length is given in seconds. No SET clause: an interval that became text in this session is read as this session writes it.
CREATE OR REPLACE FUNCTION df._sleep_length(given text) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    length constant interval := given;
BEGIN
    IF length IS NULL THEN
        PERFORM df._refuse_no_value('df.sleep: the duration');
    END IF;
    PERFORM df._wait(length, 'df.sleep', 'Sleep duration must be non-negative', true);
    RETURN extract(epoch FROM length);
END $$;

CREATE OR REPLACE FUNCTION df._moment(given text) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    at constant timestamptz := given;
BEGIN
    IF at IS NULL THEN
        PERFORM df._refuse_no_value('df.wait_until: the time');
    END IF;
    PERFORM df._check_moment(at);
    RETURN at;
END $$;

CREATE OR REPLACE FUNCTION df._instance_of(given text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF given IS NULL THEN
        PERFORM df._refuse_no_value('df.wait_for_instance: the id');
    END IF;
    PERFORM df._check_word('df.wait_for_instance: the id', given, 'Refer to what df.start has returned.');
    RETURN given;
END $$;
