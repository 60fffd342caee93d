"""Real processes, real kills: workers and PostgreSQL die at random moments, then every effect is counted."""
