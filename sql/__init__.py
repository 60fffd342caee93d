"""The `df` schema as SQL text: `migrations/` says what is run, in order; dfc.executor.migrate runs it."""
