-- The seven operators, all on text. PostgreSQL gives them one precedence, left-associative.
--
-- They go to `public` when the installer may create there, so that a session needs no setting; else to `df`,
-- and the two ways out are printed. An operator of the same name and arguments that is not ours would answer
-- for ours in every session, so it stops the installation. Locks: those of CREATE OPERATOR.
DO $do$
DECLARE
    o record;
    place text := 'df';
    stranger text;
BEGIN
    IF pg_catalog.to_regnamespace('public') IS NOT NULL
       AND pg_catalog.has_schema_privilege('public', 'CREATE') THEN
        place := 'public';
    END IF;
    FOR o IN SELECT * FROM (VALUES ('~>', 'seq', false), ('|=>', 'as_op', false), ('&', 'join', false), ('|', 'race', false),
                                   ('?>', 'if_then_op', false), ('!>', 'if_else_op', false), ('@>', 'loop_prefix_op', true))
                             AS v(name, function, prefix)
    LOOP
        SELECT n.nspname INTO stranger
        FROM pg_catalog.pg_operator x JOIN pg_catalog.pg_namespace n ON n.oid = x.oprnamespace
             JOIN pg_catalog.pg_proc p ON p.oid = x.oprcode
        WHERE x.oprname = o.name AND x.oprright = 'text'::regtype
          AND x.oprleft = CASE WHEN o.prefix THEN 0 ELSE 'text'::regtype::oid END
          AND n.nspname IN ('pg_catalog', 'public', 'df')
          AND (p.pronamespace <> 'df'::regnamespace OR p.proname <> o.function
               OR NOT pg_catalog.pg_has_role(x.oprowner, 'USAGE'))
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'schema % has an operator % for text that is not dfc''s', stranger, o.name
                USING ERRCODE = '42723',
                DETAIL = 'Sessions that write ~> would get that operator instead of dfc''s.',
                HINT = pg_catalog.format('If nobody needs it: DROP OPERATOR %I.%s (%s, text); then run dfc init again.',
                                         stranger, o.name, CASE WHEN o.prefix THEN 'NONE' ELSE 'text' END);
        END IF;
        IF NOT EXISTS (
            SELECT FROM pg_catalog.pg_operator x
            WHERE x.oprname = o.name AND x.oprright = 'text'::regtype
              AND x.oprleft = CASE WHEN o.prefix THEN 0 ELSE 'text'::regtype::oid END
              AND x.oprnamespace IN (pg_catalog.to_regnamespace('public'), 'df'::regnamespace))
        THEN
            EXECUTE pg_catalog.format('CREATE OPERATOR %I.%s (%s RIGHTARG = text, FUNCTION = df.%I)',
                place, o.name, CASE WHEN o.prefix THEN '' ELSE 'LEFTARG = text,' END, o.function);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprname = '~>' AND oprnamespace = 'df'::regnamespace) THEN
        RAISE NOTICE 'the operators are in schema df, because % may not create in public', CURRENT_USER
            USING HINT = pg_catalog.format(
                'To use them, either ALTER DATABASE %I SET search_path = "$user", public, df; or have the owner of public run '
                'GRANT CREATE ON SCHEMA public TO %I, then DROP OPERATOR df.~> (text, text) and its six sisters and run dfc init again.',
                pg_catalog.current_database(), CURRENT_USER);
    END IF;
END $do$;
