-- What lasts through steps of the server's clock (docs/adr/0031-clock-steps.md).

-- fixed: due_at was given as a moment. Otherwise it is a length of time from made_at.
ALTER TABLE df.marks ADD COLUMN fixed boolean NOT NULL DEFAULT false;
-- made_at: from when the pause until next_attempt_at is counted. Rows of earlier versions have none.
ALTER TABLE df.attempts_made ADD COLUMN made_at timestamptz;
-- made_at: when the last turn was taken.
ALTER TABLE df.rate_limits ADD COLUMN made_at timestamptz;
ALTER TABLE df.debounces ADD COLUMN made_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp();
-- looked_at: when the next ticks were computed.
ALTER TABLE df.schedule_states ADD COLUMN looked_at timestamptz;
-- When it was last given up until wake_at.
ALTER TABLE df.fences ADD COLUMN parked_at timestamptz;

-- beats: how often the worker has said that it lives. seen_*: of each other worker the beats that were seen at the own
-- last beat, and at which own beat they were so many for the first time (df._heartbeat, df._dead_workers).
ALTER TABLE df.workers
    ADD COLUMN beats bigint NOT NULL DEFAULT 0,
    ADD COLUMN seen_workers bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN seen_beats bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN seen_since bigint[] NOT NULL DEFAULT '{}';
