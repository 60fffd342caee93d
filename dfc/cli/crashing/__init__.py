"""`dfc crashtest`: a user's workflow on scratch databases, with workers that are killed at every boundary."""
