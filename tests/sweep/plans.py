"""Workflows over all constructs, for the sweep. `put('x')` is a step that writes a word into the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A workflow and how it ends. `{url}` in it is an HTTP server.

    `sends` is a signal that it gets. `often` are words that may be in the ledger more than once. With
    `compiled` the worker compiles it anew each time.
    """

    name: str
    workflow: str
    status: str = "completed"
    sends: str | None = None
    often: frozenset[str] = frozenset()
    compiled: bool = False


SHORT = Swept(
    name="steps",
    workflow="df.step('first', 'INSERT INTO ledger VALUES (''first'') RETURNING what')"
    " ~> (put('left') & df.step('right', 'INSERT INTO ledger SELECT $first || '' right'''))"
    " ~> df.step('last', 'INSERT INTO ledger SELECT $first || '' last'' RETURNING what')",
)

PLANS = (
    SHORT,
    Swept(name="compiled first", workflow="put('a') ~> put('b')", compiled=True),
    Swept(
        name="branches and races",
        workflow="df.if('SELECT true', put('yes'), put('no'))"
        " ~> df.race('SELECT pg_sleep(20)' ~> put('slow'), put('fast'))"
        " ~> df.timeout('SELECT pg_sleep(20)', 0.2, put('late'))"
        " ~> df.join(ARRAY[put('one'), put('two')], on_failure => 'cancel')",
    ),
    Swept(
        name="loops and retries",
        workflow="df.loop(put('round') ~> df.if('SELECT count(*) > 2 FROM ledger WHERE what = ''round''',"
        " df.break(), put('again')))"
        " ~> df.retry(put('try') ~> 'SELECT 1 / (count(*) - 1) FROM ledger WHERE what = ''try''',"
        " max_attempts => 3, retry_on => ARRAY['all'], backoff => 0.05)",
    ),
    Swept(
        name="maps",
        workflow="df.map('SELECT n FROM generate_series(1, 4) AS n', df.step('each',"
        " 'INSERT INTO ledger SELECT ''item '' || $item.n') ~> put('more'), max_parallel => 2)"
        " ~> df.map('SELECT n FROM generate_series(1, 4) AS n',"
        " 'INSERT INTO ledger SELECT ''of '' || n FROM $item.*', batch_size => 3)",
    ),
    Swept(
        name="transactions",
        workflow="df.atomic(put('one') ~> put('two') ~> put('three'))"
        " ~> df.sql('INSERT INTO ledger VALUES (''own'')', isolation => 'serializable', timeout => 60,"
        ' settings => \'{"work_mem": "8MB"}\')'
        " ~> df.sql('DO $$ BEGIN INSERT INTO ledger VALUES (''alone''); COMMIT; END $$', autocommit => true)",
        often=frozenset({"alone"}),
    ),
    Swept(
        name="failures and undo",
        workflow="df.compensate(put('a'), put('undo a'))"
        " ~> df.try(df.compensate(put('b'), put('undo b')) ~> 'SELECT 1/0', put('catch'), put('finally'))"
        " ~> df.sql('SELECT 1/0', on_error => 'continue') ~> df.compensate(put('c'), put('undo c'))"
        " ~> 'SELECT 1/0'",
        status="compensated",
    ),
    Swept(
        name="waits",
        workflow="put('a') ~> df.sleep(0.3) ~> put('b') ~> df.wait_for_signal('go') ~> put('c')"
        " ~> df.step('soon', 'SELECT clock_timestamp() + interval ''0.4 s''') ~> df.wait_until('$soon')"
        " ~> df.wait_for('SELECT count(*) = 3 FROM ledger', every => 0.1)"
        " ~> put('d')",
        sends="go",
    ),
    Swept(
        name="calls",
        workflow="put('a') ~> df.step('call', df.call('child')) ~> put('b')",
    ),
    Swept(
        name="requests",
        workflow="put('a') ~> df.step('call', df.http('{url}/x', 'POST', '{}'))"
        " ~> df.step('b', 'INSERT INTO ledger SELECT ''called '' || $call.status')",
    ),
)
