"""The functions of the language: names of their arguments and types (LANGUAGE.md sections 3, 7 and 9)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Want(StrEnum):
    """What an argument has to be."""

    EXPRESSION = "a workflow expression"
    TEXT = "a text"
    NAME = "a name"
    INTEGER = "an integer"
    NUMBER = "a number"
    BOOLEAN = "a boolean"
    DURATION = "a duration"
    JSON = "a jsonb"
    LIST = "an array of texts"
    BRANCHES = "an array of workflow expressions"
    MOMENT = "a timestamp"
    ANY = "a constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. An optional one may be left out or NULL.

    `reserved` is a reserved word that may stand there all the same.
    """

    name: str
    want: Want
    required: bool = False
    reserved: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A function. `variadic`: any number of expressions, at least `least`, instead of `parameters`.

    `options` are given by name only. `array`, where there are any, are the parameters of the form that takes
    all expressions as one array, without VARIADIC.
    """

    parameters: tuple[Parameter, ...] = ()
    options: tuple[Parameter, ...] = ()
    variadic: bool = False
    least: int = 0
    array: tuple[Parameter, ...] = ()
    every: tuple[Parameter, ...] = field(init=False)
    """The parameters of all forms."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "every", (*self.parameters, *self.options, *self.array))


def _required(name: str, want: Want) -> Parameter:
    return Parameter(name=name, want=want, required=True)


def _optional(name: str, want: Want) -> Parameter:
    return Parameter(name=name, want=want)


_E, _TEXT, _NAME, _INTEGER = Want.EXPRESSION, Want.TEXT, Want.NAME, Want.INTEGER
_BODY = _required("body", _E)

POLICIES = (
    _optional("max_attempts", _INTEGER),
    _optional("backoff", Want.DURATION),
    _optional("max_backoff", Want.DURATION),
    _optional("jitter", Want.BOOLEAN),
    _optional("retry_on", Want.LIST),
    _optional("no_retry_on", Want.LIST),
    _optional("timeout", Want.DURATION),
    _optional("on_error", _TEXT),
    _optional("rate_limit", _TEXT),
    _optional("rate_key", _TEXT),
    _optional("delivery", _TEXT),
    _optional("database", _TEXT),
)
_OF_SQL = (
    _optional("autocommit", Want.BOOLEAN),
    _optional("isolation", _TEXT),
    _optional("settings", Want.JSON),
)
_OF_HTTP = (_optional("retry_unsafe", Want.BOOLEAN), _optional("retry_after_max", Want.DURATION))
_SQL_POLICIES = (*POLICIES, *_OF_SQL)
_HTTP_POLICIES = (*POLICIES, *_OF_HTTP)
POLICY_NAMES = tuple([parameter.name for parameter in (*POLICIES, *_OF_SQL, *_OF_HTTP)])
"""All policies, in the order of the wire text."""

OF_REQUESTS = frozenset({parameter.name for parameter in _OF_HTTP})
"""The policies that only requests have."""

_BRANCHES = (_required("branches", Want.BRANCHES),)
_ON_FAILURE = (_optional("on_failure", _TEXT),)
_TWO = (_required("a", _E), _required("b", _E))
_RETRY = tuple(
    p for p in POLICIES if p.name in ("backoff", "max_backoff", "jitter", "retry_on", "no_retry_on")
)

STEPS: dict[str, Signature] = {
    "sql": Signature(parameters=(_required("query", _TEXT),), options=_SQL_POLICIES),
    "step": Signature(parameters=(_required("name", _NAME), _BODY), options=_SQL_POLICIES),
    "seq": Signature(parameters=_TWO, variadic=True, least=1, array=_BRANCHES),
    "join": Signature(parameters=_TWO, variadic=True, least=1, array=(*_BRANCHES, *_ON_FAILURE)),
    "join3": Signature(parameters=(*_TWO, _required("c", _E)), options=_ON_FAILURE),
    "parallel": Signature(parameters=_TWO, variadic=True, least=1, array=(*_BRANCHES, *_ON_FAILURE)),
    "race": Signature(parameters=_TWO, variadic=True, least=1, array=_BRANCHES),
    "as": Signature(parameters=(_required("fut", _E), _required("name", _NAME))),
    "if": Signature(
        parameters=(_required("condition", _E), _required("then_branch", _E), _optional("else_branch", _E))
    ),
    "if_rows": Signature(
        parameters=(
            _required("result_name", _NAME),
            _required("then_branch", _E),
            _optional("else_branch", _E),
        )
    ),
    "loop": Signature(
        parameters=(_BODY, _optional("condition", _E)), options=(_optional("compensate", _TEXT),)
    ),
    "break": Signature(parameters=(_optional("value", Want.ANY),)),
    "map": Signature(
        parameters=(
            _required("items", _E),
            _BODY,
            Parameter(name="name", want=_NAME, reserved="item"),
            _optional("max_parallel", _INTEGER),
            _optional("batch_size", _INTEGER),
            _optional("on_error", _TEXT),
        )
    ),
    "sleep": Signature(parameters=(_required("seconds", Want.DURATION),)),
    "wait_until": Signature(parameters=(_required("at", Want.MOMENT),)),
    "wait_for_schedule": Signature(parameters=(_required("cron_expr", _TEXT), _optional("time_zone", _TEXT))),
    "wait_for_signal": Signature(
        parameters=(_required("name", _TEXT), _optional("timeout_seconds", Want.DURATION))
    ),
    "wait_for": Signature(
        parameters=(
            _required("query", _E),
            _optional("every", Want.DURATION),
            _optional("timeout", Want.DURATION),
        )
    ),
    "http": Signature(
        parameters=(
            _required("url", _TEXT),
            _optional("method", _TEXT),
            _optional("body", _TEXT),
            _optional("headers", Want.JSON),
            _optional("timeout_seconds", _INTEGER),
        ),
        options=_HTTP_POLICIES,
    ),
    "http_multipart": Signature(
        parameters=(
            _required("url", _TEXT),
            _optional("method", _TEXT),
            _required("parts", Want.JSON),
            _optional("headers", Want.JSON),
            _optional("timeout_seconds", _INTEGER),
        ),
        options=_HTTP_POLICIES,
    ),
    "atomic": Signature(parameters=(_BODY,), options=_SQL_POLICIES),
    "call": Signature(
        parameters=(_required("workflow", _NAME), _optional("input", Want.JSON)), options=POLICIES
    ),
    "wait_for_instance": Signature(
        parameters=(_required("instance_id", _TEXT),), options=(_optional("timeout", Want.DURATION),)
    ),
    "retry": Signature(parameters=(_BODY, _required("max_attempts", _INTEGER), *_RETRY)),
    "timeout": Signature(
        parameters=(_BODY, _required("duration", Want.DURATION), _optional("else_branch", _E))
    ),
    "try": Signature(parameters=(_BODY, _required("catch", _E), _optional("finally", _E))),
    "compensate": Signature(parameters=(_required("do", _E), _required("undo", _E))),
}
"""What may stand in a workflow, by its name in schema df."""

SUBMISSIONS: dict[str, Signature] = {
    "start": Signature(
        parameters=(
            _required("fut", _E),
            _optional("label", _TEXT),
            _optional("database", _TEXT),
            _optional("transaction_mode", _TEXT),
            _optional("input", Want.JSON),
            _optional("idempotency_key", _TEXT),
            _optional("priority", _INTEGER),
            _optional("queue", _TEXT),
            _optional("start_at", Want.MOMENT),
            _optional("timeout", Want.DURATION),
            _optional("concurrency_key", _TEXT),
            _optional("concurrency_limit", _INTEGER),
            _optional("debounce_key", _TEXT),
            _optional("debounce", Want.DURATION),
        )
    ),
    "define": Signature(
        parameters=(
            _required("name", _NAME),
            _BODY,
            _optional("params", Want.JSON),
            _optional("on_failure", _E),
            _optional("queue", _TEXT),
            _optional("priority", _INTEGER),
            _optional("timeout", Want.DURATION),
            _optional("concurrency_key", _TEXT),
            _optional("concurrency_limit", _INTEGER),
            _optional("keep_finished", Want.DURATION),
        )
    ),
    "schedule": Signature(
        parameters=(
            _required("name", _NAME),
            _required("cron", _TEXT),
            _required("workflow", _E),
            _optional("input", Want.JSON),
            _optional("time_zone", _TEXT),
            _optional("overlap", _TEXT),
            _optional("catch_up", _TEXT),
        )
    ),
    "setvar": Signature(parameters=(_required("name", _NAME), _required("value", _TEXT))),
}
"""What stands alone in `SELECT df.x(...)`."""

HELPERS = frozenset(
    {
        "adopt",
        "allow_host",
        "await",
        "await_instance",
        "cancel",
        "clearvars",
        "doctor",
        "explain",
        "fork_instance",
        "getvar",
        "grant_usage",
        "instance_executions",
        "instance_info",
        "instance_nodes",
        "list_instances",
        "map_results",
        "metrics",
        "pause_instance",
        "pause_schedule",
        "result",
        "resume_instance",
        "resume_schedule",
        "retry_instance",
        "revoke_usage",
        "run",
        "signal",
        "signal_all",
        "status",
        "target_database",
        "undefine",
        "unschedule",
        "unsetvar",
        "version",
        "wait_for_completion",
    }
)
"""Functions of schema df that are no steps."""

VARIABLES = frozenset({"setvar", "unsetvar", "clearvars"})
"""What changes variables: for the server alone, outside of workflows."""

JSON_BUILDERS = frozenset(
    {"jsonb_build_object", "jsonb_build_array", "json_build_object", "json_build_array"}
)
"""The functions of PostgreSQL that may stand in a constant."""
