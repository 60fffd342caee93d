-- The trigger in front of every insert into df.debounces: a call joins an instance of its own submitter that waits for
-- its time. Where there is none, no row is inserted, and df.start sees that.
--
-- The lock lasts to the end of the caller's transaction: no claim starts the instance before the call has committed or
-- is gone, so no call is lost.
-- Locks: the instance FOR KEY SHARE, which waits for a claim that is about to start it, and for nothing else.
CREATE OR REPLACE FUNCTION df._before_debounce() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM df.instances i
    WHERE i.id = NEW.instance_id AND i.submitted_by = NEW.submitted_by AND i.debounce_key IS NOT NULL
      AND i.started_at IS NULL AND NOT i.ready AND NOT i.held
    FOR KEY SHARE;
    RETURN CASE WHEN FOUND THEN NEW END;
END $$;

CREATE OR REPLACE TRIGGER before_debounce BEFORE INSERT ON df.debounces
FOR EACH ROW EXECUTE FUNCTION df._before_debounce();
