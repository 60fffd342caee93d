-- Looking a definition up, and what there is to say where it is not there. They run with the caller's rights and the
-- trigger's alike.

-- How many characters have to be put in, taken out or changed to get from one name to another. Locks: none.
CREATE OR REPLACE FUNCTION df._distance(a text, b text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    above integer[] := ARRAY(SELECT g FROM pg_catalog.generate_series(0, pg_catalog.length(b)) AS g);
    row integer[];
BEGIN
    FOR i IN 1 .. pg_catalog.length(a) LOOP
        row := ARRAY[i];
        FOR j IN 1 .. pg_catalog.length(b) LOOP
            row := row || LEAST(above[j + 1] + 1, row[j] + 1,
                                above[j] + CASE WHEN pg_catalog.substr(a, i, 1) = pg_catalog.substr(b, j, 1) THEN 0 ELSE 1 END);
        END LOOP;
        above := row;
    END LOOP;
    RETURN above[pg_catalog.cardinality(above)];
END $$;

-- Which of these names was meant by `name`, as a sentence: the nearest, else all of them. Locks: none.
CREATE OR REPLACE FUNCTION df._meant(name text, names text[]) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (SELECT pg_catalog.format('Did you mean %L?', n) FROM pg_catalog.unnest(names) AS n
         WHERE pg_catalog.length(n) <= 63 AND pg_catalog.length(name) <= 63
           AND df._distance(name, n) <= GREATEST(1, pg_catalog.length(name) / 3) ORDER BY df._distance(name, n), n LIMIT 1),
        (SELECT 'There is ' || pg_catalog.string_agg(pg_catalog.quote_literal(n), ', ' ORDER BY n) || '.'
         FROM (SELECT n FROM pg_catalog.unnest(names) AS n ORDER BY n LIMIT 20) AS n))
$$;

-- What a name of this role means now. Raises 42704. Locks: none.
CREATE OR REPLACE FUNCTION df._definition(owner regrole, name text) RETURNS df.definitions
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    found df.definitions;
    meant text;
BEGIN
    SELECT d.* INTO found FROM df.definitions d WHERE d.owner = $1 AND d.name = $2 ORDER BY d.id DESC LIMIT 1;
    IF found.expression IS NULL THEN
        meant := coalesce(df._meant($2, df._definition_names($1)), pg_catalog.format('SELECT df.define(%L, ...) makes it.', $2));
        RAISE EXCEPTION 'there is no workflow named "%"', $2 USING ERRCODE = '42704',
            DETAIL = pg_catalog.format('Definitions belong to the role that makes them: %s has none of this name.', $1),
            HINT = meant || CASE WHEN pg_catalog.starts_with(meant, 'Did you') THEN ''
                                 ELSE pg_catalog.format(' A statement of one word is written df.sql(%L).', $2) END;
    END IF;
    RETURN found;
END $$;

-- The names that mean something. Locks: none.
CREATE OR REPLACE FUNCTION df._definition_names(owner regrole) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.array_agg(l.name)
    FROM (SELECT DISTINCT ON (d.name) d.name, d.expression FROM df.definitions d WHERE d.owner = $1 ORDER BY d.name, d.id DESC) AS l
    WHERE l.expression IS NOT NULL
$$;
