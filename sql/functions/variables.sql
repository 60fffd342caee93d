-- Variables: {name} in a workflow's SQL and requests. Values are text, spliced as they are by the compiler.

-- Notes what a helper gives, so that its answer is known when it turns up where a step belongs. Locks: none.
CREATE OR REPLACE FUNCTION df._helper_said(what text, answer text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_catalog.set_config('df.non_future_helper',
        pg_catalog.concat_ws('|', pg_catalog.date_part('epoch', pg_catalog.statement_timestamp()), what, answer), true);
    RETURN answer;
END $$;

-- The helper that gave this text in this very statement; NULL: none. Locks: none.
CREATE OR REPLACE FUNCTION df._helper_of(answer text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT said[2]
    FROM pg_catalog.string_to_array(pg_catalog.current_setting('df.non_future_helper', true), '|') AS said
    WHERE said[1] = pg_catalog.date_part('epoch', pg_catalog.statement_timestamp())::text AND said[3] = answer
$$;

-- What every change of variables refuses. A workflow has taken its values when it started. Locks: none.
CREATE OR REPLACE FUNCTION df._check_vars(what text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF pg_catalog.current_setting('df.in_workflow', true) IN ('true', 'on', '1') THEN
        RAISE EXCEPTION '%() cannot be called inside a workflow - set variables before starting the workflow', what
            USING ERRCODE = '55000', DETAIL = 'A workflow keeps the values that its variables had when it was started.',
            HINT = 'Pass values between steps with |=> ''name'' and $name.';
    END IF;
END $$;

-- Sets a variable of the current user. Locks: the variable's row.
CREATE OR REPLACE FUNCTION df.setvar(name text, value text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._check_vars('df.setvar');
    IF $1 IS NULL OR $1 = '' THEN
        RAISE EXCEPTION 'df.setvar: the name is %', CASE WHEN $1 IS NULL THEN 'NULL' ELSE 'empty' END USING ERRCODE = 'DF113',
            DETAIL = 'A variable is found by its name.', HINT = 'Give a name in quotes; workflows refer to it as {name}.';
    ELSIF $2 IS NULL THEN
        RAISE EXCEPTION 'df.setvar: the value of "%" is NULL', $1 USING ERRCODE = '22004',
            DETAIL = 'The value is put into the text of steps, where there is no NULL.',
            HINT = pg_catalog.format('SELECT df.unsetvar(%L) takes the variable away.', $1);
    ELSIF $1 !~ '^[A-Za-z_][A-Za-z0-9_]*$' OR $1 IN ('sys_instance_id', 'sys_label') THEN
        RAISE WARNING 'no workflow sees the variable "%"', $1
            USING DETAIL = 'A workflow refers to {name}, where name is a letter or underscore, then letters, digits and underscores; '
                           'sys_instance_id and sys_label are its own.',
            HINT = 'Choose another name.';
    END IF;
    INSERT INTO df.vars AS v (name, value) VALUES ($1, $2) ON CONFLICT (owner, name) DO UPDATE SET value = EXCLUDED.value;
    RETURN df._helper_said('df.setvar', 'OK');
END $$;

-- The value of a variable of the current user, NULL where there is none. Locks: none.
CREATE OR REPLACE FUNCTION df.getvar(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT v.value FROM df.vars v WHERE v.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole AND v.name = $1
$$;

-- Takes a variable of the current user away, if it is there. Locks: the variable's row.
CREATE OR REPLACE FUNCTION df.unsetvar(name text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._check_vars('df.unsetvar');
    DELETE FROM df.vars v WHERE v.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole AND v.name = $1;
    RETURN df._helper_said('df.unsetvar', 'OK');
END $$;

-- Takes all variables of the current user away. Locks: their rows.
CREATE OR REPLACE FUNCTION df.clearvars() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM df._check_vars('df.clearvars');
    DELETE FROM df.vars v WHERE v.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole;
    RETURN df._helper_said('df.clearvars', 'OK');
END $$;

-- The key of a plan besides its expression. Locks: none.
CREATE OR REPLACE FUNCTION df._variables_hash(variables jsonb) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN variables IS NULL THEN ''::bytea ELSE pg_catalog.sha256(pg_catalog.convert_to(variables::text, 'UTF8')) END
$$;
