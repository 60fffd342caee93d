-- Attempts of an activation that have failed: how many, why the last one, when the next one is due. A row exists
-- only where an attempt has failed, or one that may happen once only has begun (begun_at). It stays when the
-- activation gets its checkpoint, for people to see; the worker then reads the checkpoint alone.
-- Locks: none beyond the insert's own, always under the instance's fence.
-- This is a part of migration 2, and stays as it was then: later migrations change it, and since the fifth it is
-- df.attempts_made.
CREATE TABLE df.attempts (
    instance_id     text NOT NULL,
    path            text COLLATE "C" NOT NULL,
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_error      json,
    next_attempt_at timestamptz,
    begun_at        timestamptz,
    PRIMARY KEY (instance_id, path),
    CONSTRAINT attempts_failed CHECK ((attempts > 0) = (last_error IS NOT NULL)
                                  AND (attempts > 0) = (next_attempt_at IS NOT NULL)),
    CONSTRAINT attempts_something CHECK (attempts > 0 OR begun_at IS NOT NULL)
) WITH (fillfactor = 70);

ALTER TABLE df.attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY attempts_read ON df.attempts FOR SELECT
    USING (EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id));
