-- Steps in other databases of the cluster (docs/adr/0025-other-databases.md).
\ir ../tables/elsewhere.sql

-- What is to be known of a record beyond its result: 'completed after cancel'.
ALTER TABLE df.checkpoints ADD COLUMN note text CHECK (note IN ('completed after cancel'));
