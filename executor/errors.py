"""A step's error as JSON: as it is stored, as `$error` shows it, and read again from either. Pure."""

from __future__ import annotations

import json
from typing import Any

from dfc.executor.journal import StepError


def error_object(error: StepError) -> dict[str, object]:
    """A step's error as it is stored; what is not known is left out."""
    fields: dict[str, object] = {
        "step": error.step,
        "message": error.message,
        "sqlstate": error.sqlstate,
        "detail": error.detail,
        "hint": error.hint,
        "position": error.position,
        "cause": None if error.cause is None else error_object(error.cause),
    }
    return {name: value for name, value in fields.items() if value is not None}


def error_json(error: StepError) -> str:
    """An error as `$error` shows it: what is not known is null, and no position."""
    return json.dumps(_shown(error), ensure_ascii=False)


def _shown(error: StepError) -> dict[str, object]:
    return {
        "message": error.message,
        "sqlstate": error.sqlstate,
        "step": error.step,
        "detail": error.detail,
        "hint": error.hint,
        "cause": None if error.cause is None else _shown(error.cause),
    }


def read_error(path: str, written: str | None) -> StepError | None:
    """An error that either of these wrote, of `path` where it does not say; None for null, or no text."""
    return _read(path, None if written is None else json.loads(written))


def read_failure(path: str, written: str | None) -> StepError:
    """The same of what has failed for certain, whatever is written of it."""
    return read_error(path, written) or _read_fields(path, {})


def _read(path: str, fields: dict[str, Any] | None) -> StepError | None:
    return None if fields is None else _read_fields(path, fields)


def _read_fields(path: str, fields: dict[str, Any]) -> StepError:
    return StepError(
        step=fields.get("step", path),
        message=fields.get("message", "failed"),
        sqlstate=fields.get("sqlstate", "XX000"),
        detail=fields.get("detail"),
        hint=fields.get("hint"),
        position=fields.get("position"),
        cause=_read(path, fields.get("cause")),
    )
