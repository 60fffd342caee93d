"""What stands beside a workflow, and what its statements reach there without naming it.

`relations` has what DDL says of tables: views, foreign keys, triggers, parts. `routines` reads bodies of
functions. `touching` says of each step of a workflow which tables it touches, by all of these ways.
"""
