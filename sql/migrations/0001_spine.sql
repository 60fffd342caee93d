-- The first schema. The files named here are part of this migration: once released they do not change;
-- a later migration alters the tables.
CREATE SCHEMA IF NOT EXISTS df;
\ir ../tables/meta.sql
\ir ../tables/instances.sql
\ir ../tables/plans.sql
\ir ../tables/fences.sql
\ir ../tables/checkpoints.sql
\ir ../tables/requests.sql
\ir ../tables/workers.sql
