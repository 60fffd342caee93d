-- A result as it is shown: what cannot be written as JSON (nested too deep, longer than a text can be) does not
-- keep an instance or an item from ending: its steps have happened. Locks: none.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._outcome_of(instance text, shape json) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN df._result_of(instance, shape);
EXCEPTION WHEN data_exception OR program_limit_exceeded OR untranslatable_character THEN
    RETURN json_build_object('unreadable', SQLERRM);
END $$;

-- The same for rows that are not recorded.
CREATE OR REPLACE FUNCTION df._outcome_of_rows(columns text[], types oid[], cells text[], row_count bigint) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN df._result_json(columns, types, cells, row_count);
EXCEPTION WHEN data_exception OR program_limit_exceeded OR untranslatable_character THEN
    RETURN json_build_object('unreadable', SQLERRM);
END $$;
