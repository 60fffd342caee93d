"""An object of a plan's JSON, field by field: each has the type that it has to have, and none is unknown."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn, TypeVar, cast

from dfc.compiler.plan import Duration

Json = dict[str, object]


class PlanFormatError(ValueError):
    """A JSON value is not a plan of a format that this program knows. The message says where and why."""


_Choice = TypeVar("_Choice", bound=StrEnum)


class Fields:
    """The fields of the object at `where`. Each one read is known; `done` refuses all others."""

    def __init__(self, value: object, where: str) -> None:
        if type(value) is not dict:
            raise PlanFormatError(f"{where} is not an object")
        self.where = where
        self._fields = cast(Json, value)
        self._known: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def value(self, name: str) -> object:
        """A field as it is; None where there is none."""
        self._known.add(name)
        return self._fields.get(name)

    def done(self) -> None:
        """Refuse the fields that nobody has read."""
        if not self._fields.keys() <= self._known:
            unknown = min(map(str, self._fields.keys() - self._known))
            raise PlanFormatError(f"{self.where} has the field {unknown!r}, which this program does not know")

    def text(self, name: str) -> str:
        """A string."""
        value = self.value(name)
        if type(value) is not str:
            self.wrong(name, "a string")
        return value

    def optional_text(self, name: str) -> str | None:
        """A string, or nothing."""
        return self.text(name) if name in self else None

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings."""
        values = self.array(name)
        for value in values:
            if type(value) is not str:
                self.wrong(name, "an array of strings")
        return tuple(cast("list[str]", values))

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        """An array of strings, or nothing."""
        return self.texts(name) if name in self else None

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """An array of pairs of strings, empty where there is none."""
        pairs: list[tuple[str, str]] = []
        for pair in self.array(name) if name in self else ():
            match pair:
                case [str(first), str(second)]:
                    pairs.append((first, second))
                case _:
                    self.wrong(name, "an array of pairs of strings")
        return tuple(pairs)

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer."""
        if default is not None and name not in self:
            return default
        value = self.value(name)
        if type(value) is not int:
            self.wrong(name, "an integer")
        return value

    def optional_integer(self, name: str) -> int | None:
        """An integer, or nothing."""
        return self.integer(name) if name in self else None

    def integers(self, name: str, count: int | None = None) -> tuple[int, ...]:
        """An array of integers, of so many."""
        values = self.array(name)
        if any(type(value) is not int for value in values) or (count is not None and len(values) != count):
            self.wrong(name, "an array of integers" if count is None else f"an array of {count} integers")
        return tuple(cast("list[int]", values))

    def duration(self, name: str) -> Duration:
        """A duration: months, days, microseconds."""
        months, days, microseconds = self.integers(name, 3)
        return Duration(months=months, days=days, microseconds=microseconds)

    def optional_duration(self, name: str) -> Duration | None:
        """A duration, or nothing."""
        return self.duration(name) if name in self else None

    def flag(self, name: str) -> bool:
        """A boolean; false where there is none."""
        return self.optional_flag(name) or False

    def optional_flag(self, name: str) -> bool | None:
        """A boolean, or nothing."""
        if name not in self:
            return None
        value = self.value(name)
        if type(value) is not bool:
            self.wrong(name, "true or false")
        return value

    def array(self, name: str) -> list[object]:
        """An array of anything."""
        value = self.value(name)
        if type(value) is not list:
            self.wrong(name, "an array")
        return cast("list[object]", value)

    def arrays(self, name: str) -> list[list[object]]:
        """An array of arrays."""
        values = self.array(name)
        if any(type(value) is not list for value in values):
            self.wrong(name, "an array of arrays")
        return cast("list[list[object]]", values)

    def objects(self, name: str) -> list[Fields]:
        """An array of objects, empty where there is none."""
        values = self.array(name) if name in self else []
        return [Fields(value, f"{self.where}.{name}[{i}]") for i, value in enumerate(values)]

    def object(self, name: str) -> Fields:
        """An object."""
        return Fields(self.value(name), f"{self.where}.{name}")

    def choice(self, choices: type[_Choice], name: str, default: _Choice | None = None) -> _Choice:
        """One of several words."""
        if default is not None and name not in self:
            return default
        value = self.text(name)
        try:
            return choices(value)
        except ValueError:
            self.wrong(name, " or ".join(f'"{choice}"' for choice in choices))

    def wrong(self, name: str, expected: str) -> NoReturn:
        """Refuse a field."""
        raise PlanFormatError(f"{self.where}.{name} is not {expected}")
