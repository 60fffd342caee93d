"""Deaths in every form, and the tests that do them: the rows of docs/reference/deaths.md."""

from __future__ import annotations

from typing import Final

DEATHS: Final[dict[str, tuple[str, ...]]] = {
    "a worker gets SIGTERM": (
        "tests/executor/test_worker.py::test_sigterm_hands_over_at_once",
        "tests/executor/test_worker.py::test_sigterm_lets_a_running_step_finish",
    ),
    "a worker is killed (SIGKILL, out of memory)": (
        "tests/executor/test_worker.py::test_a_killed_worker_is_taken_over_by_its_lock",
        "tests/deaths/test_workers.py::test_an_idle_worker_misses_another_one_without_a_poll",
        "tests/e2e/test_kills.py::test_workers_are_killed_and_every_effect_happens_once",
        "tests/sweep/test_sweep.py::test_the_worker_is_killed_at_every_message",
    ),
    "a worker is paused for longer than its lease, and wakes up": (
        "tests/executor/test_worker.py::test_a_paused_worker_loses_its_lease_and_comes_back",
        "tests/e2e/test_kills.py::test_paused_workers_come_back_too_late",
    ),
    "two workers at once": (
        "tests/executor/test_worker.py::test_many_instances_at_once",
        "tests/test_simulate.py::test_batch_holds",
    ),
    "the clock of a worker is hours off": (
        "tests/executor/test_clock_steps.py::test_the_clock_of_a_worker_makes_no_difference",
    ),
    "the clock of the database is set": (
        "tests/executor/test_clock_steps.py::test_set_forward_ends_what_waits",
        "tests/executor/test_clock_steps.py::test_set_back_keeps_nobody_waiting_for_longer_than_he_was_to",
        "tests/executor/test_clock_steps.py::test_a_dead_worker_is_missed_and_a_live_one_is_not",
    ),
    "a connection breaks": (
        "tests/executor/test_cuts.py::test_a_connection_is_lost_at_each_message",
        "tests/executor/test_sql_cuts.py::test_a_connection_is_lost_at_each_message",
        "tests/executor/test_databases.py::test_a_connection_is_lost_at_each_message",
    ),
    "the network is cut, and there are other workers": (
        "tests/deaths/test_network.py::test_another_worker_goes_on_when_the_network_is_cut",
    ),
    "the network is cut, and there is one worker": (
        "tests/deaths/test_network.py::test_a_worker_alone_notices_that_its_connections_hang",
    ),
    "the machine of a worker vanishes from the network": (
        "tests/deaths/test_vanished.py::test_what_a_vanished_machine_holds_is_given_up",
        "tests/deaths/test_vanished.py::test_both_sides_give_up_after_twenty_seconds",
    ),
    "the connection of a step vanishes": (
        "tests/deaths/test_vanished.py::test_a_step_whose_connection_vanishes_is_done_again",
    ),
    "the network is slow (300 ms)": ("tests/deaths/test_network.py::test_a_slow_network_only_takes_longer",),
    "PostgreSQL is killed and started again": (
        "tests/executor/test_worker.py::test_postgres_killed_and_started_again",
        "tests/e2e/test_kills.py::test_postgres_is_killed_and_every_effect_happens_once",
    ),
    "a synchronous replica is promoted": (
        "tests/deaths/test_failover.py::test_nothing_is_lost_when_a_synchronous_replica_is_promoted",
    ),
    "an asynchronous replica is promoted": (
        "tests/deaths/test_failover.py::test_an_asynchronous_replica_knows_less_and_is_whole",
    ),
    "`max_connections` is exhausted": (
        "tests/deaths/test_sessions.py::test_all_connections_of_the_server_are_taken",
        "tests/executor/test_faults.py::test_no_room_for_connections_fails_nothing",
    ),
    "the disk is full": (
        "tests/deaths/test_disk.py::test_steps_wait_for_room",
        "tests/cli/test_full_disk.py::test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room",
    ),
    "`pg_terminate_backend` on a step": (
        "tests/deaths/test_sessions.py::test_every_session_of_a_step_is_terminated_for_a_while",
        "tests/executor/test_faults.py::test_a_step_that_loses_its_connection_every_time_fails",
    ),
    "`pg_terminate_backend` on a worker's own session": (
        "tests/executor/test_faults.py::test_a_session_of_the_worker_is_terminated",
    ),
    "a step and a user deadlock": ("tests/deaths/test_sessions.py::test_a_step_and_a_user_deadlock",),
    "a transaction is open for an hour": (
        "tests/deaths/test_sessions.py::test_a_transaction_is_open_for_long_beside_the_queue",
    ),
    "users prepare transactions (two-phase commit)": (
        "tests/deaths/test_sessions.py::test_prepared_transactions_of_users",
        "tests/sql/test_start.py::test_two_phase_commit",
    ),
    "the compiler process is killed": (
        "tests/deaths/test_sessions.py::test_the_compiler_process_is_killed",
        "tests/executor/test_compilation.py::test_a_text_that_kills_the_compiler_is_answered_with_df590",
    ),
    "a database is restored or copied": ("tests/executor/test_worker.py::test_refuses_a_copy",),
    "a workflow kills every worker that takes it": (
        "tests/sweep/test_suspects.py::test_one_that_kills_its_worker_is_set_aside_and_the_others_go_on",
    ),
    "a statement ends PostgreSQL each time (its backend runs out of memory, an extension crashes)": (
        "tests/sweep/test_suspects_and_postgres.py::"
        "test_a_statement_that_ends_postgres_fails_in_the_end_and_the_others_go_on",
    ),
}
