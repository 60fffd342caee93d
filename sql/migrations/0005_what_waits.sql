-- Workers say whose workflows they run. Null, of a worker that runs since before: it has not said, so anybody's.
ALTER TABLE df.workers ADD COLUMN roles name[];

-- It takes one more argument now. Not DROP IF EXISTS, which would speak up in every new installation.
DO $$
BEGIN
    IF pg_catalog.to_regprocedure('df._register_worker(text, integer, text, integer, integer[], double precision, integer)')
       IS NOT NULL THEN
        DROP FUNCTION df._register_worker(text, integer, text, integer, integer[], double precision, integer);
    END IF;
END $$;

-- df.attempts becomes a view: an attempt that is due is one only while its step has no record.
ALTER TABLE df.attempts RENAME TO attempts_made;
