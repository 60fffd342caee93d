-- Make a plan known that this program has compiled itself, so that no worker compiles it again.
-- Locks: the row of df.meta.
WITH known AS (UPDATE df.meta SET compiler_version = %(compiler_version)s)
INSERT INTO df.plans (expression_hash, variables_hash, compiler_version, plan, plan_hash)
VALUES (pg_catalog.sha256(pg_catalog.convert_to(%(wire)s, 'UTF8')), df._variables_hash(NULL), %(compiler_version)s,
        %(plan)s::jsonb, %(hash)s)
ON CONFLICT DO NOTHING
