"""What happens when: workflows that fail, are cut short or cancelled, and what is left of them.

`breaks` and `hangs` are defined workflows: both do what can be undone, then one fails and the other one waits.
The steps write words into a ledger; `put('x')` in the texts below is such a step. Where `cancel_at` is given, the
instance is cancelled as soon as that word is in the ledger, and again at each word of `again_at`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """A row of the table in docs/reference/what-happens.md: `when` is its first column."""

    when: str
    workflow: str
    status: str
    ledger: str
    """The words, in the order of commits."""
    sqlstate: str | None = None
    cause: str | None = None
    undo: tuple[str, ...] = ()
    """SQLSTATEs of the undo steps that failed."""
    cancel_at: str | None = None
    again_at: str | None = None


FAIL = "'SELECT 1/0'"
HANG = "'SELECT pg_sleep(60)'"

HAPPENINGS = (
    Happening(
        when="a step fails",
        workflow=f"put('a') ~> {FAIL} ~> put('b')",
        status="failed",
        ledger="a",
        sqlstate="22012",
    ),
    Happening(
        when="a step fails after steps that can be undone",
        workflow=f"undoable('a') ~> undoable('b') ~> {FAIL}",
        status="compensated",
        ledger="a b undo-b undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="a step fails inside of what can be undone",
        workflow=f"undoable('a') ~> df.compensate(put('b') ~> {FAIL}, put('undo-b'))",
        status="compensated",
        ledger="a b undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="what can be undone has completed without a step (a value alone)",
        workflow=f"undoable('a') |=> 'a' ~> df.compensate('$a', put('undo-b')) ~> {FAIL}",
        status="compensated",
        ledger="a undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="an undo step fails",
        workflow=f"undoable('a') ~> df.compensate(put('b'), {FAIL}) ~> undoable('c') ~> 'SELECT ''x''::int'",
        status="failed",
        ledger="a b c undo-c undo-a",
        sqlstate="22P02",
        undo=("22012",),
    ),
    Happening(
        when="a step with `on_error => 'continue'` fails",
        workflow="df.step('s', 'SELECT 1/0', on_error => 'continue') "
        "~> 'INSERT INTO ledger (what) VALUES (coalesce($s?::text, ''none'') || ''-'' || $s.error.sqlstate)'",
        status="completed",
        ledger="none-22012",
    ),
    Happening(
        when="a branch of a join or fan-out fails",
        workflow=f"df.join({FAIL}, put('a') ~> 'SELECT pg_sleep(0.2)' ~> put('b')) ~> put('c')",
        status="failed",
        ledger="a b",
        sqlstate="22012",
    ),
    Happening(
        when="a branch fails in a group with `on_failure => 'cancel'`",
        workflow=f"df.join(ARRAY['SELECT 1/0 FROM pg_sleep(0.3)', undoable('a') ~> {HANG}], on_failure => 'cancel')",
        status="compensated",
        ledger="a undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="an arm of a race wins",
        workflow=f"df.race('SELECT 1 FROM pg_sleep(0.4)', undoable('a') ~> {HANG}) ~> put('b')",
        status="completed",
        ledger="a undo-a b",
    ),
    Happening(
        when="an arm of a race fails and another one succeeds",
        workflow=f"df.race(undoable('a') ~> {FAIL}, 'SELECT 1 FROM pg_sleep(0.4)') ~> put('b')",
        status="completed",
        ledger="a undo-a b",
    ),
    Happening(
        when="all arms of a race fail",
        workflow=f"df.race({FAIL}, 'SELECT ''x''::int FROM pg_sleep(0.1)')",
        status="failed",
        ledger="",
        sqlstate="22012",
    ),
    Happening(
        when="a round of a loop fails",
        workflow="df.loop(undoable('a') ~> 'SELECT 1 / (3 - count(*)) FROM ledger WHERE what = ''a''', 'SELECT true')",
        status="compensated",
        ledger="a a a undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="a round of a loop with `compensate => 'all'` fails",
        workflow="df.loop(undoable('a') ~> 'SELECT 1 / (3 - count(*)) FROM ledger WHERE what = ''a''', 'SELECT true', "
        "compensate => 'all')",
        status="compensated",
        ledger="a a a undo-a undo-a undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="a break leaves a loop",
        workflow=f"df.loop(df.join(undoable('a') ~> 'SELECT pg_sleep(0.4)' ~> df.break(), "
        f"'SELECT pg_sleep(0.15)' ~> undoable('b') ~> {HANG})) ~> put('c')",
        status="completed",
        ledger="a b undo-b c",
    ),
    Happening(
        when="an item of a map fails",
        workflow="df.map('SELECT n FROM generate_series(1, 9) AS n ORDER BY n', "
        "undoable('a') ~> 'SELECT 1 / (3 - $item.n)', max_parallel => 1)",
        status="compensated",
        ledger="a a a undo-a undo-a undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="an item of a map with `on_error => 'continue'` fails",
        workflow="df.map('SELECT n FROM generate_series(1, 3) AS n ORDER BY n', "
        "undoable('a') ~> 'SELECT 1 / (2 - $item.n)', max_parallel => 1, on_error => 'continue') ~> put('b')",
        status="completed",
        ledger="a a undo-a a b",
    ),
    Happening(
        when="an error leaves the body of a try",
        workflow=f"df.try(undoable('a') ~> {FAIL}, put('catch'), put('finally')) ~> put('b')",
        status="completed",
        ledger="a undo-a catch finally b",
    ),
    Happening(
        when="the body of a try succeeds",
        workflow=f"df.try(undoable('a'), put('catch'), put('finally')) ~> {FAIL}",
        status="compensated",
        ledger="a finally undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="a catch fails",
        workflow=f"df.try({FAIL}, put('catch') ~> 'SELECT ''x''::int', put('finally')) ~> put('b')",
        status="failed",
        ledger="catch finally",
        sqlstate="22P02",
        cause="22012",
    ),
    Happening(
        when="a finally fails",
        workflow=f"df.try({FAIL}, put('catch'), put('finally') ~> 'SELECT ''x''::int') ~> put('b')",
        status="failed",
        ledger="catch finally",
        sqlstate="22P02",
        cause="22012",
    ),
    Happening(
        when="a finally fails while a break leaves the loop around",
        workflow=f"df.loop(df.try(put('a') ~> df.break(), put('catch'), put('finally') ~> {FAIL})) ~> put('b')",
        status="failed",
        ledger="a finally",
        sqlstate="22012",
    ),
    Happening(
        when="a finally fails in what a time limit stops",
        workflow=f"df.timeout(df.try(put('a') ~> {HANG}, put('catch'), put('finally') ~> {FAIL}), 0.5, put('else'))",
        status="failed",
        ledger="a finally",
        sqlstate="22012",
    ),
    Happening(
        when="an attempt of `df.retry` fails",
        workflow="df.retry(undoable('a') ~> 'SELECT 1 / (2 - count(*)) FROM ledger WHERE what = ''a''' "
        "~> 'SELECT 1 / (count(*) - 1) FROM ledger WHERE what = ''a''', 3, backoff => 0.05)",
        status="completed",
        ledger="a undo-a a undo-a a",
    ),
    Happening(
        when="a time limit is over",
        workflow=f"df.timeout(undoable('a') ~> {HANG}, 0.5) ~> put('b')",
        status="compensated",
        ledger="a undo-a",
        sqlstate="timeout",
    ),
    Happening(
        when="a time limit with an else part is over",
        workflow=f"df.timeout(undoable('a') ~> {HANG}, 0.5, put('else')) ~> put('b')",
        status="completed",
        ledger="a undo-a else b",
    ),
    Happening(
        when="the `timeout` of a step is over",
        workflow="df.step('s', 'INSERT INTO ledger (what) SELECT ''lost'' FROM pg_sleep(60)', timeout => 0.3)",
        status="failed",
        ledger="",
        sqlstate="timeout",
    ),
    Happening(
        when="a step of `df.atomic` fails",
        workflow=f"df.atomic(put('a') ~> put('b') ~> {FAIL})",
        status="failed",
        ledger="",
        sqlstate="22012",
    ),
    Happening(
        when="it is cancelled while a step runs",
        workflow="undoable('a') ~> undoable('b') "
        "~> 'INSERT INTO ledger (what) SELECT ''lost'' FROM pg_sleep(60)' ~> put('c')",
        status="cancelled",
        ledger="a b undo-b undo-a",
        cancel_at="b",
    ),
    Happening(
        when="it is cancelled in the body of a try",
        workflow=f"undoable('x') ~> df.try(undoable('a') ~> {HANG}, put('catch'), put('finally'))",
        status="cancelled",
        ledger="x a undo-a finally undo-x",
        cancel_at="a",
    ),
    Happening(
        when="it is cancelled in a catch",
        workflow=f"df.try({FAIL}, undoable('catch') ~> {HANG}, put('finally'))",
        status="cancelled",
        ledger="catch finally undo-catch",
        cancel_at="catch",
    ),
    Happening(
        when="it is cancelled in a finally",
        workflow="df.try('SELECT 1', put('catch'), put('finally') ~> 'SELECT pg_sleep(0.5)' ~> put('done')) ~> put('b')",
        status="cancelled",
        ledger="finally done",
        cancel_at="finally",
    ),
    Happening(
        when="it is cancelled in a loop",
        workflow=f"df.loop(undoable('a') ~> 'SELECT 1' ~> df.if('SELECT count(*) > 1 FROM ledger', "
        f"put('b') ~> {HANG}, 'SELECT 1'), 'SELECT true')",
        status="cancelled",
        ledger="a a b undo-a",
        cancel_at="b",
    ),
    Happening(
        when="it is cancelled in a map",
        workflow="df.map('SELECT n FROM generate_series(1, 5) AS n ORDER BY n', undoable('a') "
        "~> df.if('SELECT $item.n = 2', put('b') ~> 'SELECT pg_sleep(60)', 'SELECT 1'), max_parallel => 1)",
        status="cancelled",
        ledger="a a b undo-a undo-a",
        cancel_at="b",
    ),
    Happening(
        when="it is cancelled in a race",
        workflow=f"df.race(undoable('a') ~> {HANG}, 'SELECT pg_sleep(0.3)' ~> undoable('b') ~> {HANG})",
        status="cancelled",
        ledger="a b undo-b undo-a",
        cancel_at="b",
    ),
    Happening(
        when="it is cancelled while its undo steps run",
        workflow=f"undoable('a') ~> df.compensate(put('b'), put('undo-b') ~> 'SELECT pg_sleep(0.5)') ~> {FAIL}",
        status="compensated",
        ledger="a b undo-b undo-a",
        sqlstate="22012",
        cancel_at="undo-b",
    ),
    Happening(
        when="it is cancelled twice",
        workflow=f"undoable('a') ~> df.compensate(put('b'), put('undo-b') ~> 'SELECT pg_sleep(0.5)') ~> {HANG}",
        status="cancelled",
        ledger="a b undo-b undo-a",
        cancel_at="b",
        again_at="undo-b",
    ),
    Happening(
        when="the time of a wait for a signal is over",
        workflow="undoable('a') ~> df.wait_for_signal('never', 0.5) ?> put('yes') !> put('no')",
        status="completed",
        ledger="a no",
    ),
    Happening(
        when="a wait for a signal loses a race",
        workflow="df.race(df.wait_for_signal('never') ~> put('b'), put('a'))",
        status="completed",
        ledger="a",
    ),
    Happening(
        when="the query of `df.wait_for` fails",
        workflow="undoable('a') ~> df.wait_for('SELECT 1/0', every => '1 s', timeout => '9 s')",
        status="compensated",
        ledger="a undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="the time of `df.wait_for` is over",
        workflow="df.wait_for('SELECT false', every => '0.2 s', timeout => '0.7 s') ?> put('yes') !> put('no')",
        status="completed",
        ledger="no",
    ),
    Happening(
        when="a moment cannot be read",
        workflow="undoable('a') ~> df.step('s', 'SELECT ''soon''::text') ~> df.wait_until('$s')",
        status="compensated",
        ledger="a undo-a",
        sqlstate="DF181",
    ),
    Happening(
        when="a called workflow fails",
        workflow="undoable('a') ~> df.call('breaks')",
        status="compensated",
        ledger="a in undo-in undo-a",
        sqlstate="22012",
    ),
    Happening(
        when="a called workflow fails, and is to be called again",
        workflow="df.call('breaks', max_attempts => 2, retry_on => ARRAY['all'], backoff => 0)",
        status="failed",
        ledger="in undo-in in undo-in",
        sqlstate="22012",
    ),
    Happening(
        when="a called workflow does not exist",
        workflow="undoable('a') ~> df.call('nowhere')",
        status="compensated",
        ledger="a undo-a",
        sqlstate="42704",
    ),
    Happening(
        when="a call is stopped by a time limit",
        workflow="df.timeout(df.call('hangs') ~> put('b'), 2, put('late'))",
        status="completed",
        ledger="in undo-in late",
    ),
    Happening(
        when="the `timeout` of the instance is over",
        workflow="undoable('a') ~> df.try(df.sleep(60), put('no'), put('finally')), timeout => '1 s'",
        status="compensated",
        ledger="a finally undo-a",
        sqlstate="timeout",
    ),
    Happening(
        when="it is cancelled while it waits",
        workflow="undoable('a') ~> df.try(df.sleep('1 hour') & df.wait_for_signal('never'), put('no'), put('f'))",
        status="cancelled",
        ledger="a f undo-a",
        cancel_at="a",
    ),
    Happening(
        when="it is cancelled while a called workflow runs",
        workflow="undoable('a') ~> df.call('hangs')",
        status="cancelled",
        ledger="a in undo-in undo-a",
        cancel_at="in",
    ),
)
