"""The `df` schema as SQL text: `migrations/` says what is run and in which order, dfc.executor.migrate runs it."""
