-- What this transaction starts is recorded. Locks: none.
SET LOCAL df.record = on
