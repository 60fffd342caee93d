"""What a statement does that its transaction does not take back, as far as its text tells.

Everything else that it does to the database is rolled back where its transaction does not commit, so it
happens together with the record of its step. What happens elsewhere, or to what PostgreSQL does not roll
back, stays when the transaction is gone, and happens again with the next attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dfc.compiler.plan_builtins import NOT_VOLATILE, VOLATILE
from dfc.compiler.plan_calls import Call, Word, calls, words
from dfc.compiler.plan_statement import SqlBody

_SLOTS: Final = "what becomes of a replication slot is not rolled back"
_SERVER: Final = "what the server or another session is told is not taken back"
_WAL: Final = "what is written to the log is not taken back"
_STATISTICS: Final = "a reset of statistics is not rolled back"
_ELSEWHERE: Final = "another connection has a transaction of its own"
_FILES: Final = "files are not rolled back"

_APART: Final = (
    "`transaction_mode => 'new'` is a transaction of its own; with an `idempotency_key` it starts once"
)

OUTSIDE: Final[Mapping[str, str]] = {
    "setval": "a sequence is not rolled back",
    "lo_export": _FILES,
    **dict.fromkeys(("pg_file_write", "pg_file_rename", "pg_file_unlink", "pg_file_sync"), _FILES),
    **dict.fromkeys(("dblink", "dblink_exec", "dblink_send_query", "dblink_open"), _ELSEWHERE),
    **dict.fromkeys(
        (
            "pg_cancel_backend",
            "pg_terminate_backend",
            "pg_reload_conf",
            "pg_rotate_logfile",
            "pg_rotate_logfile_old",
            "pg_log_backend_memory_contexts",
            "pg_promote",
            "pg_backup_start",
            "pg_backup_stop",
            "pg_wal_replay_pause",
            "pg_wal_replay_resume",
            "pg_stop_making_pinned_objects",
        ),
        _SERVER,
    ),
    **dict.fromkeys(
        ("pg_switch_wal", "pg_create_restore_point", "pg_log_standby_snapshot", "pg_logical_emit_message"),
        _WAL,
    ),
    **dict.fromkeys(
        (
            "pg_create_physical_replication_slot",
            "pg_create_logical_replication_slot",
            "pg_copy_physical_replication_slot",
            "pg_copy_logical_replication_slot",
            "pg_drop_replication_slot",
            "pg_replication_slot_advance",
            "pg_replication_origin_advance",
            "pg_logical_slot_get_changes",
            "pg_logical_slot_get_binary_changes",
            "pg_sync_replication_slots",
        ),
        _SLOTS,
    ),
    **dict.fromkeys(
        (
            "pg_stat_reset",
            "pg_stat_reset_backend_stats",
            "pg_stat_reset_replication_slot",
            "pg_stat_reset_shared",
            "pg_stat_reset_single_function_counters",
            "pg_stat_reset_single_table_counters",
            "pg_stat_reset_slru",
            "pg_stat_reset_subscription_stats",
            "pg_stat_statements_reset",
        ),
        _STATISTICS,
    ),
}
"""Functions that do something which stays, whatever becomes of the transaction; and why."""

COMMANDS: Final[Mapping[str, str]] = {
    "checkpoint": "what is written to disk stays there",
}
"""Commands, other than COPY, of which the same is true."""

HARMLESS: Final = frozenset(
    name for name, why in OUTSIDE.items() if why is _STATISTICS or name in ("pg_reload_conf", "pg_switch_wal")
)
"""Of these a second time is as good as once."""

UNTOLD: Final = frozenset({"query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema"}) | {
    "ts_rewrite",
    "ts_stat",
}
"""They run a query that they are given as a text."""

_SCRIPTS: Final[Mapping[str, str]] = {
    "do": "the block of DO",
    "create extension": "the script of the extension",
    "alter extension": "the script of the extension",
}
"""Commands that run what is not in their text, or is not read."""

_READ: Final = frozenset(
    {
        "",
        "call",
        "copy",
        "create materialized view",
        "create table as",
        "declare cursor",
        "delete",
        "do",
        "explain",
        "insert",
        "merge",
        "select",
        "update",
        "values",
    }
)
"""Kinds of statements whose calls are made when they run."""

_KNOWN: Final = NOT_VOLATILE | VOLATILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """`outside`: what it does outside of its transaction, and why that stays. `harmless`: all of that may be
    repeated. `untold`: functions, blocks and procedures that might, and nobody can tell from the plan.
    `remarks`: what else there is to know.
    """

    outside: tuple[tuple[str, str], ...] = ()
    harmless: bool = False
    untold: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


NONE: Final = Effects()


def effects_of(body: SqlBody) -> Effects:
    """What a statement does outside of its transaction."""
    items = words(body.sql)
    outside = dict(_copied(items)) if body.kind == "copy" else {}
    if body.kind in COMMANDS:
        outside[body.kind.upper()] = COMMANDS[body.kind]
    harmless = not outside or body.kind == "checkpoint"
    untold: dict[str, None] = {}
    gaps = False
    for call in _calls(body, items):
        if (why := _why_outside(call, items)) is not None:
            outside.setdefault(f"{call.written}()", why)
            harmless = harmless and call.name in HARMLESS
        elif call.name == "nextval" and _is_own(call):
            gaps = True
        elif not _is_known(call):
            untold.setdefault(f"{call.written}()")
    if body.kind in _SCRIPTS:
        untold.setdefault(_SCRIPTS[body.kind])
    remarks = list(_remarks(body, items))
    if gaps:
        remarks.append("numbers that a rolled back attempt took from a sequence are skipped")
    return Effects(
        outside=tuple(outside.items()),
        harmless=bool(outside) and harmless,
        untold=tuple(untold),
        remarks=tuple(remarks),
    )


def _calls(body: SqlBody, items: Sequence[Word]) -> Iterator[Call]:
    if body.kind not in _READ:
        return
    yield from calls(items)
    if body.kind == "do":
        for item in items:
            if item.kind == "body":
                yield from calls(words(item.says))


def _why_outside(call: Call, items: Sequence[Word]) -> str | None:
    if call.schema == "df" and call.name == "start" and _starts_apart(items):
        return _APART
    why = OUTSIDE.get(call.name)
    if why is None or not (_is_own(call) or why in (_ELSEWHERE, _FILES, _STATISTICS)):
        return None
    return None if _joins_transaction(call) else why


def _joins_transaction(call: Call) -> bool:
    """Whether what stays otherwise is told to belong to the transaction."""
    return call.name == "pg_logical_emit_message" and call.first == "true"


def _starts_apart(items: Sequence[Word]) -> bool:
    """Whether a start is told to have a transaction of its own, or may be."""
    for index, item in enumerate(items[:-2]):
        if item.says == "transaction_mode" and items[index + 1].says in ("=>", ":="):
            return items[index + 2].says != "'caller'"
    return any(item.kind == "text" and item.says == "'new'" for item in items)


def _is_own(call: Call) -> bool:
    """Whether a call may be one of PostgreSQL's own functions."""
    return call.schema in (None, "pg_catalog")


def _is_known(call: Call) -> bool:
    """Whether it is certain that a function has no effect outside of the transaction."""
    if call.schema in ("df", "information_schema"):
        return True
    return _is_own(call) and (call.name in _KNOWN or _joins_transaction(call))


def _copied(items: Sequence[Word]) -> Iterator[tuple[str, str]]:
    depth = 0
    for index, item in enumerate(items):
        depth += {"(": 1, ")": -1}.get(item.says, 0) if item.kind == "sign" else 0
        if depth or item.kind != "word" or item.says not in ("to", "from"):
            continue
        program = index + 1 < len(items) and items[index + 1].says == "program"
        if program:
            yield f"COPY {item.says.upper()} PROGRAM", "a program of the server is not rolled back"
        elif item.says == "to":
            yield "COPY TO a file", _FILES
        return


def _remarks(body: SqlBody, items: Sequence[Word]) -> Iterator[str]:
    named = {item.says for item in items[:6] if item.kind == "word"}
    if body.kind == "notify" or any(item.says == "pg_notify" for item in items):
        yield "who does not listen when it commits misses the notification"
    if body.kind.startswith("create table") and "unlogged" in named:
        yield "a crash of PostgreSQL empties an unlogged table, and its record stays"
