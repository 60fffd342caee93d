"""Random expression trees, with the texts that break things."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

from hypothesis import strategies as st

from dfc.compiler.ast import (
    NO_POLICIES,
    Atomic,
    Bind,
    Break,
    CallWorkflow,
    Chain,
    Compensate,
    Expression,
    FanOut,
    Http,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Policies,
    PolicyValue,
    Race,
    Ref,
    Retry,
    Sleep,
    Sql,
    Step,
    Text,
    Timeout,
    Try,
    WaitFor,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.durations import length
from dfc.compiler.json_text import quote_json, read_json, write_jsonb
from dfc.compiler.names import RESERVED, is_blank, is_reference
from dfc.compiler.options import YEARS_MAX
from dfc.compiler.plan import Duration
from dfc.compiler.signatures import STEPS

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: name not in RESERVED
)
hostile = st.one_of(
    st.sampled_from(
        [
            "SELECT 1",
            "CHECKPOINT",
            "größe",
            "a$b",
            "SELECT $$x$$, $sql$y$sql$, $dfc$z$dfc$, 'q'",
            "SELECT 'it''s' $",
            "it's $sql",
            "'",
            "\\",
            "E'\\n'",
            "$x.c > 1",
            "-- c\n;",
            "/* open",
            "/*dfc:",
            "\t\r\n x",
            "\x01\x7f\u2028😀",
            '"q"',
            "SELECT ':=' => 'x'",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12),
    st.text("'$sqldfc\\ a\n\"", min_size=1, max_size=12),
)
queries = hostile.filter(lambda t: not is_blank(t) and not is_reference(t) and "/*dfc:1:" not in t)


references = st.sampled_from(["$a", "$b.c", "$rows.*", "$a?", "$a.b?", "$item", "$größe.row_count", "$x?.*"])
numbers = st.integers(1, 2**31 - 1)


def _duration(months: int, days: int, microseconds: int) -> Duration:
    return Duration(months=months, days=days, microseconds=microseconds)


LONGEST = YEARS_MAX * 360 * 86_400_000_000
"""The longest duration, in microseconds."""

durations = st.one_of(
    st.builds(_duration, st.just(0), st.just(0), st.integers(1, 10**7) | st.integers(1, LONGEST)),
    st.builds(_duration, st.just(0), st.just(0), st.integers(1, 99).map(lambda hours: hours * 1_800_000_000)),
    st.builds(_duration, st.integers(-9, 99), st.integers(-99, 999), st.integers(-(10**9), 10**12)),
    st.builds(_duration, st.integers(0, 1200), st.integers(0, 36000), st.integers(0, LONGEST)),
).filter(lambda duration: 0 < length(duration) <= LONGEST)

_retry = st.lists(
    st.sampled_from(["40001", "40", "DF502", "503", "5xx", "timeout", "transient", "ambiguous", "all"]),
    max_size=3,
).map(tuple)
_truths = st.booleans()
_json_scalars = st.one_of(
    hostile.map(quote_json), st.sampled_from(["1", "-1.50", "true", "false", "1e2"]), st.integers().map(str)
)


def _object(pairs: dict[str, str]) -> str:
    inside = ",".join(f"{quote_json(key)}:{value}" for key, value in pairs.items())
    return write_jsonb(read_json(f"{{{inside}}}"))


def _normal(written: str) -> str:
    return write_jsonb(read_json(written))


_setting = st.sampled_from(["work_mem", "lock_timeout", "my.setting", "A$1._b.c"])
settings = st.dictionaries(_setting, _json_scalars, max_size=3).map(_object)

# `database` is no value of every door: the SQL door knows its own alone.
POLICIES: dict[str, st.SearchStrategy[PolicyValue]] = {
    "max_attempts": numbers,
    "backoff": durations | st.just(Duration()),
    "max_backoff": durations,
    "jitter": _truths,
    "retry_on": _retry,
    "no_retry_on": _retry,
    "timeout": durations,
    "on_error": st.sampled_from(["fail", "continue"]),
    "rate_limit": st.sampled_from(["1/second", "100/minute", "5/hour", "999999999/day"]),
    "rate_key": hostile,
    "delivery": st.sampled_from(["at_least_once", "at_most_once"]),
    "autocommit": _truths,
    "isolation": st.sampled_from(["read committed", "repeatable read", "serializable"]),
    "settings": settings,
    "retry_unsafe": _truths,
    "retry_after_max": durations,
}


def _policies(given: dict[str, PolicyValue]) -> Policies:
    return Policies(given=tuple([(name, given[name]) for name in POLICIES if name in given]))


def policies(function: str, *, often: bool = False) -> st.SearchStrategy[Policies]:
    """Some of the policies that a function takes; mostly none, unless `often`."""
    taken = {p.name: POLICIES[p.name] for p in STEPS[function].every if p.name in POLICIES}
    required = {
        p.name: POLICIES[p.name] for p in STEPS[function].parameters if p.required and p.name in taken
    }
    optional = {name: value for name, value in taken.items() if name not in required}
    some = st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=4).flatmap(
        lambda names: st.fixed_dictionaries({**required, **{name: optional[name] for name in names}})
    )
    return some.map(_policies) if often or required else st.just(NO_POLICIES) | some.map(_policies)


def _headers(pairs: dict[str, str]) -> str:
    return _object({key: quote_json(value) for key, value in pairs.items()})


def _parts(parts: list[dict[str, str]]) -> str:
    written = [_object({key: quote_json(value) for key, value in part.items()}) for part in parts]
    return write_jsonb(read_json(f"[{','.join(written)}]"))


def _http(
    url: str, method: str, body: str | None, headers: str | None, seconds: int, policies: Policies
) -> Http:
    return Http(
        url=Text(value=f"https://{url}"),
        method=method,
        body=None if body is None else Text(value=body),
        headers=headers,
        timeout_seconds=seconds,
        policies=policies,
    )


def _multipart(
    url: str, method: str, parts: str, headers: str | None, seconds: int, policies: Policies
) -> Expression:
    return Http(
        url=Text(value=f"https://{url}"),
        method=method,
        body=None,
        headers=headers,
        timeout_seconds=seconds,
        parts=parts,
        policies=policies,
    )


def _sql(query: str, policies: Policies = NO_POLICIES) -> Expression:
    return Sql(query=Text(value=query), policies=policies)


def _ref(text: str) -> Expression:
    return Ref(text=Text(value=text))


def _step(name: str, body: Expression, policies: Policies = NO_POLICIES) -> Expression:
    return Step(name=Text(value=name), body=body, policies=policies)


def _bind(name: str, body: Expression) -> Expression:
    return Bind(name=Text(value=name), body=body)


def _break(value: str | None) -> Expression:
    return Break(value=None if value is None else Text(value=value))


def _if(condition: Expression, then: Expression, otherwise: Expression | None) -> Expression:
    return If(condition=condition, then=then, otherwise=otherwise)


def _if_rows(name: str, then: Expression, otherwise: Expression | None) -> Expression:
    return IfRows(name=Text(value=name), then=then, otherwise=otherwise)


def _loop(body: Expression, condition: Expression | None, keep_undos: bool) -> Expression:
    return Loop(body=body, condition=condition, keep_undos=keep_undos)


def _map(
    items: Expression, body: Expression, name: str, parallel: int, size: int, on_error: str
) -> Expression:
    return Map(
        items=items,
        body=body,
        name=Text(value=name),
        max_parallel=parallel,
        batch_size=size,
        on_error=on_error,
    )


def _atomic(body: Expression, policies: Policies) -> Expression:
    return Atomic(body=body, policies=policies)


def _retry_of(body: Expression, policies: Policies) -> Expression:
    return Retry(body=body, policies=policies)


def _timeout(body: Expression, duration: Duration, otherwise: Expression | None) -> Expression:
    return Timeout(body=body, duration=duration, otherwise=otherwise)


def _try(body: Expression, catch: Expression, final: Expression | None) -> Expression:
    return Try(body=body, catch=catch, final=final)


def _compensate(body: Expression, undo: Expression) -> Expression:
    return Compensate(body=body, undo=undo)


def _sleep(length: Duration | str) -> Expression:
    return Sleep(duration=Text(value=length) if isinstance(length, str) else length)


def _until(at: str) -> Expression:
    return WaitUntil(at=Text(value=at))


def _schedule(cron: str, zone: str | None) -> Expression:
    return WaitSchedule(cron=Text(value=cron), time_zone=zone)


def _signal(name: str, timeout: Duration | None) -> Expression:
    return WaitSignal(name=Text(value=name), timeout=timeout)


def _call(name: str, given: str | None, policies: Policies) -> Expression:
    return CallWorkflow(workflow=Text(value=name), input=given, policies=policies)


def _instance(instance: str, timeout: Duration | None) -> Expression:
    return WaitInstance(instance=Text(value=instance), timeout=timeout)


def _wait_for(query: Expression, every: Duration, timeout: Duration | None) -> Expression:
    return WaitFor(query=query, every=every, timeout=timeout)


def _flat(items: list[Expression]) -> Chain:
    flat = [link for item in items for link in (item.items if isinstance(item, Chain) else (item,))]
    return Chain(items=tuple(flat))


def _join(branches: list[Expression], cancels: bool) -> Expression:
    return Join(branches=tuple(branches), cancels=cancels)


def _fan_out(branches: list[Expression], cancels: bool) -> Expression:
    return FanOut(branches=tuple(branches), cancels=cancels)


def _race(arms: list[Expression]) -> Expression:
    return Race(arms=tuple(arms))


sql = st.builds(_sql, queries)
_seconds = st.just(30) | numbers
_some_headers = st.none() | st.dictionaries(hostile, hostile, max_size=3).map(_headers)
http = st.builds(
    _http,
    hostile,
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    st.none() | hostile,
    _some_headers,
    _seconds,
    st.just(NO_POLICIES),
)
_data = st.binary(max_size=5).map(lambda data: b64encode(data).decode()) | st.just("$a.b")
_part = st.fixed_dictionaries(
    {"name": hostile, "data_b64": _data}, optional={"filename": hostile, "content_type": hostile}
)
multipart = st.builds(
    _multipart,
    hostile,
    st.sampled_from(["POST", "PUT", "PATCH"]),
    st.lists(_part, min_size=1, max_size=2).map(_parts),
    _some_headers,
    _seconds,
    policies("http_multipart"),
)
ref = st.builds(_ref, references)
_limits = st.none() | durations
_said = hostile.filter(lambda t: not is_blank(t))
_moments = st.sampled_from(["2030-01-31 12:00+00", "tomorrow", "$a.at", "Jan 1 2030", "2030-01-31T12:00Z"])
CRONS = ("* * * * *", "*/5 8-18/2 1,15 jan-mar,12 MON-fri", "0 0 29 2 *", "59 23 31 12 7", " 0\t0 * * sun ")
ZONES = ("UTC", "Europe/Vienna", "America/New_York", "Etc/GMT+3")
call = st.builds(_call, names, st.none() | settings | _json_scalars.map(_normal), policies("call"))
waiting: st.SearchStrategy[Expression] = st.one_of(
    st.builds(_sleep, st.just(Duration()) | durations | st.sampled_from(["$a minutes", "$a.b", "'$a' -- x"])),
    st.builds(_until, _moments),
    st.builds(_schedule, st.sampled_from(CRONS), st.none() | st.sampled_from(ZONES)),
    st.builds(_signal, _said, _limits),
    call,
    st.builds(_instance, _said | references, _limits),
    st.builds(_wait_for, sql | http | multipart, durations, _limits),
)
leaves: st.SearchStrategy[Expression] = st.one_of(
    sql,
    st.builds(_sql, queries, policies("sql")),
    ref,
    http,
    http.flatmap(lambda node: policies("http").map(lambda given: replace(node, policies=given))),
    multipart,
    st.builds(_break, st.none() | hostile),
    waiting,
)


def _basic(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        st.builds(_step, names, inner),
        st.builds(_bind, names, inner),
        st.lists(inner, min_size=2, max_size=4).map(_flat),
        st.builds(_join, several, st.just(False)),
        st.builds(_fan_out, several, st.just(False)),
    )


def _grown(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=1, max_size=4)
    perhaps = st.none() | inner
    return st.one_of(
        _basic(inner),
        st.builds(_step, names, sql | http, policies("step", often=True)),
        st.builds(_join, several, st.just(True)),
        st.builds(_fan_out, several, st.just(True)),
        st.builds(_race, several),
        st.builds(_if, inner, inner, perhaps),
        st.builds(_if_rows, names, inner, perhaps),
        st.builds(_loop, inner, perhaps, st.booleans()),
        st.builds(
            _map,
            sql | ref,
            inner,
            st.just("item") | names,
            st.just(16) | numbers,
            st.just(1) | numbers,
            st.sampled_from(["fail", "continue"]),
        ),
        st.builds(_atomic, inner, policies("atomic")),
        st.builds(_retry_of, inner, policies("retry")),
        st.builds(_timeout, inner, durations, perhaps),
        st.builds(_try, inner, inner, perhaps),
        st.builds(_compensate, inner, inner),
    )


trees: st.SearchStrategy[Expression] = st.recursive(leaves, _grown, max_leaves=12)
"""Everything that can be executed."""
