"""`dfc crashtest`: what it finds, what it does not mistake for a finding, and that its kills are kills."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from dfc.cli.compiling import compile_path
from dfc.cli.crashing.bench import Kill
from dfc.cli.crashing.choose import kills_of
from dfc.cli.crashing.processes import Body, Orders, Passed, work
from dfc.cli.crashing.report import as_json, steps_of
from dfc.cli.crashing.scratch import Scratch
from dfc.cli.crashing.state import Unstable
from dfc.cli.crashing.trial import Limits, Trial
from dfc.cli.crashtest import Asked, crashtest
from dfc.cli.errors import CliError
from dfc.compiler.plan import Form
from dfc.executor.actions import RunSql
from dfc.executor.claim import Claim
from dfc.executor.core import ending
from dfc.executor.crashpoints import ENDED, Point
from dfc.executor.ports import Answer
from dfc.executor.runners.http_mock import read_mock
from dfc.executor.runners.sql import PostgresSql
from tests.cli.conftest import Run

LIMITS = Limits(wait_seconds_max=60, kills_max=200, jobs=4, rows_shown_max=5)

MANY = """
CREATE TABLE orders (id serial PRIMARY KEY, amount int NOT NULL, made_at timestamptz DEFAULT now());
CREATE TABLE counter (n int);
INSERT INTO counter VALUES (0);
CREATE PROCEDURE bump() LANGUAGE plpgsql AS $$ BEGIN UPDATE counter SET n = n + 1; COMMIT; END $$;

SELECT df.start(
  df.step('order', 'INSERT INTO orders (amount) VALUES (10) RETURNING id')
  ~> df.step('pay', 'UPDATE orders SET amount = amount + 1 WHERE id = $order'), 'safe');

SELECT df.start(df.step('bump', 'CALL bump()', autocommit => true)
  ~> df.step('vacuum', 'VACUUM counter', autocommit => true), 'unsafe');

SELECT df.start(
  df.step('put', df.http('https://api.example.com/items/7', 'PUT', '{"a": 1}'))
  ~> df.step('once', df.http('https://api.example.com/pay', 'POST', '{}'),
             delivery => 'at_most_once'), 'http');
"""

ANSWERS = [
    {"method": "PUT", "url": "https://api.example.com/items/*", "status": 503, "times": 1},
    {"method": "PUT", "url": "https://api.example.com/items/*", "json": {"kept": True}},
    {"method": "POST", "url": "https://api.example.com/pay", "status": 201, "json": {"id": 9}},
]

EVERYTHING = """
CREATE TABLE seen (what text, n int);
CREATE TABLE state (n int);
INSERT INTO state VALUES (0);
SELECT df.define('child', df.step('inner', 'INSERT INTO seen VALUES (''child'', 1) RETURNING n'));
SELECT df.start(
  df.loop(df.step('tick', 'UPDATE state SET n = n + 1 RETURNING n'), 'SELECT n < 3 FROM state')
  ~> df.map('SELECT g AS id FROM generate_series(1, 3) g',
            df.step('each', 'INSERT INTO seen VALUES (''item'', $item.id)'))
  ~> df.atomic(df.step('one', 'INSERT INTO seen VALUES (''one'', 1)')
               ~> df.step('two', 'INSERT INTO seen VALUES (''two'', 2)'))
  ~> df.call('child')
  ~> (df.wait_for_signal('go') |=> 'sig')
  ~> df.sleep(0.2)
  ~> df.race(df.step('fast', 'INSERT INTO seen VALUES (''fast'', 1)'), df.sleep(20))
  ~> df.try(df.compensate(df.step('charge', 'INSERT INTO seen VALUES (''charge'', 1)'),
                          df.step('refund', 'INSERT INTO seen VALUES (''refund'', 1)'))
            ~> df.step('boom', 'SELECT 1 / 0'),
            df.step('sorry', 'INSERT INTO seen VALUES (''sorry'', 1)'))
  ~> df.step('end', 'SELECT count(*) AS n FROM seen'), 'everything');
"""


def asked(folder: Path, text: str, *, body: Body = work, limits: Limits = LIMITS) -> Asked:
    file = folder / "flow.dfsql"
    file.write_text(text)
    mock = folder / "mock.json"
    mock.write_text(json.dumps(ANSWERS))
    return Asked(
        path=file, compilation=compile_path(str(file)), limits=limits, mock=read_mock(mock), body=body
    )


@pytest.fixture(scope="module")
def scratch() -> Iterator[Scratch]:
    with Scratch() as server:
        yield server


@pytest.fixture(scope="module")
def trial_of(tmp_path_factory: pytest.TempPathFactory, scratch: Scratch) -> Callable[[str], Trial]:
    """The trial of one of the workflows, made once."""

    @cache
    def made(name: str) -> Trial:
        wanted = asked(tmp_path_factory.mktemp(name), MANY)
        [trial] = crashtest(replace(wanted, only=name), scratch)
        assert trial.name == name
        return trial

    return made


def verdicts(trial: Trial) -> dict[str, str]:
    return {step.name: step.verdict for step in steps_of(trial)}


def test_every_boundary_and_every_inside_had_its_kill(trial_of: Callable[[str], Trial]) -> None:
    trial = trial_of("safe")
    assert all(each.fired for each in trial.tried)
    tried = Counter((each.kill.where, each.kill.passed.point.path) for each in trial.tried)
    assert tried == {
        ("after", ""): 1,
        ("inside", "order"): 1,
        ("after", "order"): 1,
        ("inside", "pay"): 1,
        ("after", "pay"): 1,
    }


def test_a_workflow_in_transactions_is_safe_whatever_sequences_and_clocks_say(
    trial_of: Callable[[str], Trial],
) -> None:
    trial = trial_of("safe")
    assert trial.safe
    assert verdicts(trial) == {
        "(the workflow)": "as undisturbed",
        "order": "exactly once",
        "pay": "exactly once",
    }
    assert trial.unstable.columns == {"public.orders": {"id", "made_at"}}


@pytest.mark.long
def test_a_step_outside_of_a_transaction_is_reported_with_the_rows(trial_of: Callable[[str], Trial]) -> None:
    trial = trial_of("unsafe")
    assert all(each.fired for each in trial.tried)
    assert trial.timely == Unstable()
    assert not trial.safe
    assert verdicts(trial)["bump"] == "NOT safe to repeat"
    assert verdicts(trial)["vacuum"] == "safe to repeat: it changes nothing"
    [found] = [each for each in trial.tried if not each.same]
    assert found.kill.where == "inside"
    [difference] = found.differences
    assert (difference.table, difference.missing, difference.extra) == ("public.counter", ("n=1",), ("n=2",))


@pytest.mark.long
def test_requests_are_counted_by_the_mock(trial_of: Callable[[str], Trial]) -> None:
    trial = trial_of("http")
    assert all(each.fired for each in trial.tried)
    document = as_json(trial)
    [put] = document["requests_repeated"]
    assert put["method"] == "PUT"
    assert (put["times"], put["same_key"]) == (3, True)
    assert verdicts(trial)["put"] == "sent again, with the same Idempotency-Key"
    assert verdicts(trial)["once"] == "NOT repeated: a death over it fails as `ambiguous`"
    assert not trial.safe
    json.dumps(document)


def apart(orders: Orders) -> None:
    """A worker whose statements commit before their checkpoints do."""
    run = PostgresSql.run

    async def broken(self: PostgresSql, claim: Claim, action: RunSql) -> Answer:
        body = replace(action.body, form=Form.AUTOCOMMIT)
        return await run(self, claim, replace(action, body=body))

    PostgresSql.run = broken
    work(orders)


@pytest.mark.long
def test_an_executor_that_records_apart_is_noticed(tmp_path: Path, scratch: Scratch) -> None:
    text = "CREATE TABLE t (n int); SELECT df.start(df.step('put', 'INSERT INTO t VALUES (1)'), 'x');"
    [trial] = crashtest(asked(tmp_path, text, body=apart), scratch)
    [found] = [each for each in trial.tried if not each.same]
    assert found.kill.where == "inside"
    assert found.differences[0].extra == ("n=1",)
    assert found.differences[0].extra_count == 1


HIDDEN = """
CREATE TABLE counter (n int);
INSERT INTO counter VALUES (0);
CREATE PROCEDURE bump(fails_below int) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE counter SET n = n + 1;
  COMMIT;
  IF (SELECT n FROM counter) < fails_below THEN RAISE EXCEPTION 'not yet' USING ERRCODE = '40001'; END IF;
END $$;
SELECT df.define('child', df.sql('CALL bump(0)', autocommit => true));
SELECT df.start('SELECT 1' ~> df.call('child'), 'called');
SELECT df.start(df.step('fails', 'CALL bump(1000)', autocommit => true, max_attempts => 1,
                        on_error => 'continue') ~> 'SELECT 2', 'failing');
SELECT df.start(df.step('retried', 'CALL bump(4)', autocommit => true, max_attempts => 5, backoff => 0.01)
                ~> 'SELECT 2', 'retrying');
"""


@pytest.mark.parametrize(
    ("name", "step"), [("called", "sql_1 (called)"), ("failing", "fails"), ("retrying", "retried")]
)
@pytest.mark.long
def test_what_is_not_safe_is_found_where_it_is_called_or_fails(
    tmp_path: Path, scratch: Scratch, name: str, step: str
) -> None:
    [trial] = crashtest(replace(asked(tmp_path, HIDDEN), only=name), scratch)
    assert all(each.fired for each in trial.tried)
    assert verdicts(trial)[step] == "NOT safe to repeat"
    # A worker that dies between two commits of who calls may die over what is called, too.
    assert "inside" in {each.kill.where for each in trial.tried if not each.same}


def ends_apart(orders: Orders) -> None:
    """A worker that commits the end of a workflow by itself, unless it is to die."""

    def never(*_: object) -> None:
        return None

    if orders.die_at is None:
        ending.finish_if_completed = never
    work(orders)


def test_an_end_that_rides_along_is_a_boundary_where_it_was_one_undisturbed(
    tmp_path: Path, scratch: Scratch
) -> None:
    text = "CREATE TABLE t (n int); SELECT df.start(df.step('put', 'INSERT INTO t VALUES (1)'), 'x');"
    [trial] = crashtest(asked(tmp_path, text, body=ends_apart), scratch)
    assert [each.fired for each in trial.tried if each.kill.passed.point == ENDED] == [True]
    assert trial.safe


SLOW = """
CREATE TABLE began AS SELECT NULL::timestamptz AS at;
CREATE TABLE seen (what text);
SELECT df.start(df.step('begin', 'UPDATE began SET at = clock_timestamp()')
  ~> df.step('remind', $$
       INSERT INTO seen SELECT 'a reminder' FROM began WHERE clock_timestamp() > at + interval '2 s' $$)
  ~> df.step('count', 'INSERT INTO seen VALUES (''end'')'), 'slow');
"""


def late(orders: Orders) -> None:
    """A worker that takes its time to take over from a dead one."""
    if orders.trace.name == "last" and orders.trace.with_name("first").exists():
        time.sleep(3)
    work(orders)


@pytest.mark.long
def test_what_depends_on_time_is_told_from_what_a_death_does(tmp_path: Path, scratch: Scratch) -> None:
    [trial] = crashtest(asked(tmp_path, SLOW, body=late), scratch)
    assert trial.safe, as_json(trial)["differences"]
    assert trial.timely.tables == {"public.seen"}
    document = as_json(trial)
    assert document["depends_on_time"] == ["all of public.seen"]
    assert document["differs_by_itself"] == ["public.began.at"]


@pytest.mark.long
def test_every_construct(tmp_path: Path, scratch: Scratch) -> None:
    wanted = replace(asked(tmp_path, EVERYTHING), signals=(("go", '{"x": 1}'),))
    [trial] = crashtest(wanted, scratch)
    assert trial.safe, as_json(trial)["differences"]
    assert {"tick", "each", "atomic_8", "inner (called)", "fast", "charge", "refund", "sorry", "end"} <= set(
        verdicts(trial)
    )


@pytest.mark.long
def test_a_workflow_that_waits_for_ever_says_for_what(tmp_path: Path) -> None:
    text = "SELECT df.start(df.wait_for_signal('go'));"
    with pytest.raises(CliError, match="waits for signal go: give what it waits for with --signal NAME"):
        list(crashtest(asked(tmp_path, text, limits=replace(LIMITS, wait_seconds_max=3))))


@pytest.mark.long
def test_the_command(dfc: Run, tmp_path: Path) -> None:
    (tmp_path / "flow.dfsql").write_text(MANY)
    answer = dfc("crashtest", "flow.dfsql", "--workflow", "unsafe", "--http-mock", "mock.json")
    assert answer.returncode == 1
    assert "dfc: cannot read `mock.json`: No such file" in answer.stderr
    (tmp_path / "mock.json").write_text(json.dumps(ANSWERS))
    answer = dfc("crashtest", "flow.dfsql", "--workflow", "unsafe", "--http-mock", "mock.json")
    assert answer.returncode == 1, answer.stderr
    assert "all fired" in answer.stdout
    assert "killed inside `bump`: its statement has run, its record has not committed" in answer.stdout
    assert "    - n=1\n    + n=2\n" in answer.stdout
    assert "a death makes a difference" in answer.stderr
    answer = dfc("crashtest", "flow.dfsql", "--workflow", "1", "--http-mock", "mock.json", "--json")
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)
    assert document["safe"] and document["workflows"][0]["workflow"] == "safe"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flow.dfsql", "mock.json"]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("SELECT df.start(df.http('https://a.example/', 'GET'));", (), "sends HTTP requests"),
        pytest.param(
            "SELECT df.start('SELECT 1', 'a');",
            ("--workflow", "b"),
            "has no workflow `b` (`a`)",
            marks=pytest.mark.long,
        ),
        pytest.param("SELECT 1;", (), "starts no workflow", marks=pytest.mark.long),
        pytest.param(
            "SELECT df.start('SELECT 1');",
            ("--signal", "go={"),
            "`{` is not JSON",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "SELECT df.start(df.step('s', 'SELECT 1', database => 'other'));",
            (),
            "in another database",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_at_once(
    dfc: Run, tmp_path: Path, text: str, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "flow.dfsql").write_text(text)
    answer = dfc("crashtest", "flow.dfsql", *arguments)
    assert answer.returncode in (1, 2)
    assert message in answer.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("{}", "is not an array"),
        ("[1]", "answer 1: it is not an object"),
        ("[{}]", "answer 1: `url` is missing"),
        ('[{"url": "x"}, {"url": 1}]', "answer 2: `url` is not a string"),
        ('[{"url": "x", "stauts": 200}]', "answer 1: `stauts` is none of method, url"),
        ('[{"url": "x", "status": 99}]', "`status` 99 is not one of HTTP"),
        ('[{"url": "x", "json": 1, "body": ""}]', "give `json` or `body`, not both"),
        ('[{"url": "x", "times": 0}]', "`times` is at least 1"),
        ('[{"url": "x", "headers": {"a": 1}}]', "the values of `headers` are strings"),
    ],
)
def test_what_is_wrong_with_a_mock_is_said(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mock.json"
    file.write_text(text)
    with pytest.raises(Exception, match=message.replace("[", r"\[")) as error:
        read_mock(file)
    assert type(error.value).__name__ == "MockFault"


def passed(path: str, count: int = 1, *, held: bool = True) -> Passed:
    point = Point(what="step", path=path, nature="transaction", held=path if held else None)
    return Passed(point=point, called=False, count=count)


def test_of_too_many_boundaries_the_ends_of_each_kind_are_kept() -> None:
    rounds = [passed(f"loop[{number}]/tick") for number in range(1, 101)]
    kills, left_out = kills_of([passed("first"), *rounds, passed("last")], 9)
    inside = [kill.passed.point.path for kill in kills if kill.where == "inside"]
    after = [kill.passed.point.path for kill in kills if kill.where == "after"]
    assert inside == ["first", "loop[1]/tick", "last"]
    assert {"first", "loop[1]/tick", "loop[2]/tick", "loop[100]/tick", "last"} <= set(after)
    assert (len(kills), left_out) == (9, 102 - 6)
    everything, left_out = kills_of(rounds, 200)
    assert (len(everything), left_out) == (101, 0)
    assert everything[0] == Kill(where="inside", passed=rounds[0])
