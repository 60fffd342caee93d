"""The limits of the executor: each with its unit and default, and the error that names it where it bites."""

from __future__ import annotations

from typing import Final

SLOTS: Final = 16
"""Instances that one worker drives at the same time."""

CONNECTIONS_MAX: Final = 16
"""Step connections that one worker holds, over all roles."""

PLACES_PER_KEPT_PLACE: Final = 8
"""Of so many connections or requests of a worker one is kept for instances that hold none: 2 of 16."""

LEASE_SECONDS: Final = 10.0
"""After this long without a heartbeat a worker that still holds its connection is taken for dead."""

POLL_SECONDS: Final = 1.0
"""How often an idle worker looks for work that no notification announced."""

WATCH_SECONDS: Final = 0.2
"""How often a worker with a free slot looks whether another one has died."""

PUT_RIGHT_SECONDS: Final = 300.0
"""How often a worker looks for what waits behind a clock that was set back between two heartbeats."""

SHUTDOWN_SECONDS: Final = 10.0
"""How long running steps may finish when the worker is asked to stop."""

RECONNECT_SECONDS_MAX: Final = 1.0
"""Upper bound of the wait between two attempts to reach the database again."""

PARK_SECONDS: Final = 5.0
"""An instance that only waits, and at least this long, is given up until then."""

CAST_PARAMETERS_MAX: Final = 100
"""Parameters that `df._rows` and `df._execute` pass on one by one; of more they pass on the array.

The two functions spell them out, so it is theirs too."""

RESULT_ROWS_MAX: Final = 10_000
"""Rows in one result. `df.checkpoint` enforces it; the runner only stops collecting one row later."""

ATOMIC_SECONDS_MAX: Final = 300.0
"""How long the transaction of a `df.atomic` may take."""

ATOMIC_IDLE_SECONDS_MAX: Final = 10.0
"""How long such a transaction waits for its worker between two steps before the server ends it."""

ITEMS_BLOCK_ROWS: Final = 1_000
"""Rows of a map's query that are stored at a time."""

ITEMS_BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Bytes of such rows that are stored at a time."""

KEPT_BYTES_MAX: Final = 64 * 1024
"""Size of a stored result up to which it is brought back with the history; a larger one when it is needed."""

PLANS_CACHED_MAX: Final = 512
"""Plans that a worker keeps in memory."""

HTTP_BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Body of a request or a response."""

HTTP_RESPONSES_BYTES_MAX: Final = 2 * HTTP_BODY_BYTES_MAX
"""Bodies of all responses of one step together, as they came."""

HTTP_REQUESTS_MAX: Final = 16
"""Requests of one step that are under way at the same time."""

HTTP_WORKER_REQUESTS_MAX: Final = 100
"""Requests of one worker that are under way at the same time, and connections of each of its two pools."""

HTTP_TIMEOUT_SECONDS_MAX: Final = 86_400
"""The longest `timeout_seconds` of a request."""

SUSPECT_AFTER_DEATHS: Final = 4
"""After so many workers in a row have died with an instance in their hands it runs in its own process."""

SUSPECT_DEATHS_MAX: Final = 3
"""What has ended that process so often, in a row and without a checkpoint in between, has failed (DF591)."""

SUSPECT_LOSSES_MAX: Final = 10
"""In whose turn the database was lost so often, in a row and without a checkpoint, has failed (DF591)."""

JOURNAL_BYTES_MAX: Final = 16 * 1024 * 1024
"""The recorded journal of one instance; nothing more is recorded then, and the journal says so."""

COMPILE_SECONDS_MAX: Final = 60.0
"""Processor time for each million characters of a text in the compiler process; so much for a shorter one."""

COMPILE_CLOCK_SECONDS_MAX: Final = 900.0
"""Time by the clock for the same: far more, as it ends only a process that is stopped or waits for ever."""

COMPILE_BYTES_MAX: Final = 2 * 1024 * 1024 * 1024
"""Address space of the compiler process."""

COMPILER_IDLE_SECONDS: Final = 60.0
"""A compiler process without work for this long is stopped."""
