-- What a schedule does about a tick whose instance could not be started.

-- retry_at: next_at is a tick that has failed to start, and it is tried again then, not earlier. A worker of an older
-- version does not look at it, and tries at each of its looks.
ALTER TABLE df.schedule_states ADD COLUMN retry_at timestamptz;
