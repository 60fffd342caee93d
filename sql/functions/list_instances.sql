-- The newest instances that the caller may see, by status and label, page by page.
--
-- Ordered by id, which is the order of starts. function_name is a constant that pg_durable has there too. Locks: none.

-- Raises 22023 for a number of rows that is not from 1 to the limit.
CREATE OR REPLACE FUNCTION df._check_limit(limit_count integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF (limit_count >= 1) IS NOT TRUE THEN
        RAISE EXCEPTION 'limit_count must be at least 1' USING ERRCODE = '22023',
            DETAIL = pg_catalog.format('It is %s.', coalesce(limit_count::text, 'NULL')),
            HINT = pg_catalog.format('Give a number from 1 to %s.', df._listed_instances_max());
    ELSIF limit_count > df._listed_instances_max() THEN
        RAISE EXCEPTION 'df.list_instances: limit_count (%) exceeds the limit (%)', limit_count, df._listed_instances_max()
            USING ERRCODE = '22023',
            DETAIL = 'All rows of a call stand in memory, with their results.',
            HINT = 'Page: df.list_instances(status, limit, label, after_cursor), with the next_cursor of the page before.';
    END IF;
END $$;

-- The id that a cursor stands behind: the cursor is the hex of `v1|<created_at>|<id>`. NULL for NULL.
-- Raises 22023 for any other text.
CREATE OR REPLACE FUNCTION df._cursor_id(after_cursor text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts text[];
BEGIN
    IF after_cursor IS NULL THEN
        RETURN NULL;
    ELSIF pg_catalog.length(after_cursor) <= 512 AND after_cursor ~ '^([0-9a-f]{2})+$' THEN
        parts := pg_catalog.regexp_match(
            pg_catalog.encode(pg_catalog.decode(after_cursor, 'hex'), 'escape'),
            '^v1\|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[-+][0-9:]{2,9}\|([0-9a-f][0-9a-f-]{0,99})$');
        IF parts IS NOT NULL THEN
            RETURN parts[1];
        END IF;
    END IF;
    RAISE EXCEPTION 'df.list_instances: invalid after_cursor' USING ERRCODE = '22023',
        DETAIL = 'A cursor is what df.list_instances gave as next_cursor.',
        HINT = 'Give the next_cursor of the page before as it is; NULL for the first page.';
END $$;

CREATE OR REPLACE FUNCTION df._cursor(created_at timestamptz, id text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.encode(pg_catalog.convert_to(
        'v1|' || pg_catalog.to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.USOF') || '|' || id, 'UTF8'), 'hex')
$$;

CREATE OR REPLACE FUNCTION df.list_instances(status_filter text DEFAULT NULL, limit_count integer DEFAULT 100)
RETURNS TABLE (instance_id text, label text, function_name text, status text, execution_count bigint, output text)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._check_limit($2);
    RETURN QUERY
    SELECT i.id, i.label, df._function_name(), CASE WHEN i.completed_at IS NULL THEN df.status(i.id) ELSE i.status END,
           df._execution_of(i.id, i.expression, i.plan), df._output(i.result, i.error)
    FROM df._instance_ids($1, NULL, NULL, $2) WITH ORDINALITY AS f(id, n)
    JOIN df.instances i ON i.id = f.id
    ORDER BY f.n;
END $$;

-- completed_at as pg_durable has it: of what has ended as completed. next_cursor is the same in all rows of a page; NULL: it
-- is the last one.
CREATE OR REPLACE FUNCTION df.list_instances(status_filter text, limit_count integer, label_filter text, after_cursor text DEFAULT NULL)
RETURNS TABLE (instance_id text, label text, function_name text, status text, execution_count bigint, output text,
               created_at timestamptz, completed_at timestamptz, next_cursor text)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    before constant text := df._cursor_id($4);
    found text[];
    behind text;
BEGIN
    PERFORM df._check_limit($2);
    -- One more than wanted shows whether this is the last page.
    found := ARRAY(SELECT df._instance_ids($1, $3, before, $2 + 1));
    IF pg_catalog.cardinality(found) > $2 THEN
        found := found[1:$2];
        SELECT df._cursor(i.created_at, i.id) INTO behind FROM df.instances i WHERE i.id = found[$2];
    END IF;
    RETURN QUERY
    SELECT i.id, i.label, df._function_name(), CASE WHEN i.completed_at IS NULL THEN df.status(i.id) ELSE i.status END,
           df._execution_of(i.id, i.expression, i.plan), df._output(i.result, i.error), i.created_at,
           CASE WHEN i.status = 'completed' THEN i.completed_at END, behind
    FROM pg_catalog.unnest(found) WITH ORDINALITY AS f(id, n)
    JOIN df.instances i ON i.id = f.id
    ORDER BY f.n;
END $$;
