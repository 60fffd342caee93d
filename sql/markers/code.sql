-- Everything of df_markers that can be put in place again at any time. The guard, df._rows and df._execute are the ones
-- of schema df, put here under this one's name (executor/migrate.py).
\ir ../functions/begin_step.sql
\ir ../functions/rows.sql
\ir ../functions/execute.sql
\ir enter.sql
\ir checkpoint.sql
\ir marker.sql
\ir forget.sql
\ir grant_usage.sql
