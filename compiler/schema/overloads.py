"""Which function or operator a call means, by PostgreSQL's rules (parse_func.c, parse_oper.c, ...).

Types that are not known fit everything, and where they or a literal leave a choice, the answer is "not
known": only what no candidate fits is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from dfc.compiler.schema.builtins import MULTIRANGES, RANGES, Signature, builtins
from dfc.compiler.schema.catalog import Catalog
from dfc.compiler.schema.types import element

Name = str | None
"""A type's name; None: not known."""

SIMPLE: Final = frozenset({"anyelement", "anyarray", "anynonarray", "anyenum", "anyrange", "anymultirange"})
COMPATIBLE: Final = frozenset(
    {
        "anycompatible",
        "anycompatiblearray",
        "anycompatiblenonarray",
        "anycompatiblerange",
        "anycompatiblemultirange",
    }
)
POLYMORPHIC: Final = SIMPLE | COMPATIBLE
_CONTEXTS: Final = {"i": 0, "a": 1, "e": 2}
IMPLICIT: Final = 0
ASSIGNMENT: Final = 1
EXPLICIT: Final = 2
MISTAKEN: Final = {"==": "=", "=<": "<=", "=!": "<>"}
"""Operators of other languages."""
CANDIDATES_MAX: Final = 500
_TEXTS: Final = (Signature("f", False, 0, False, "text", ("text", "text")),)
_OWN: Final = {
    **dict.fromkeys(("~>", "|=>", "&", "|", "?>", "!>"), _TEXTS),
    "@>": (Signature("f", False, 0, False, "text", ("text",)),),
}
"""The operators that dfc brings: a step may start workflows."""


class Outcome(Enum):
    """Answers that are no signature."""

    NONE = "no candidate fits, for certain"
    OPEN = "cannot be told"


class Overloads:
    """The rules, for one schema."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def category(self, name: str) -> tuple[str, bool]:
        """The category of a type, and whether that prefers it."""
        known = builtins().types.get(name)
        if known is not None:
            return known.category, known.preferred
        if name.endswith("[]"):
            return "A", False
        own = self._catalog.named(name)
        if own is not None and own.kind == "base":
            return own.category, own.preferred
        if own is not None:
            return {"enum": "E", "composite": "C"}.get(own.kind, "U"), False
        return "U", False

    def base(self, name: Name) -> Name:
        """A type without its domains."""
        return None if name is None else self._catalog.base(name)

    def coercible(self, source: Name, target: Name, context: int = IMPLICIT) -> bool:
        """Whether a value can become one of this type; true as well where that cannot be told."""
        if source is None or target is None or source == target or source == "unknown":
            return True
        if target == "any" or target in POLYMORPHIC:
            return self._fits(source, target)
        source, wanted = self.base(source), self.base(target)
        if source is None or wanted is None or source == wanted:
            return True
        context_of = self._catalog.casts.get((source, wanted)) or builtins().casts.get((source, wanted))
        if context_of is not None:
            return _CONTEXTS[context_of] <= context
        mine, others = element(source), element(wanted)
        if mine is not None and others is not None:
            return self.coercible(mine, others, context)
        return self._special(source, wanted, context)

    def refuses(self, source: Name, target: Name, context: int) -> bool:
        """Whether a value cannot become one of this type, for certain: there is no cast to be read."""
        if self._catalog.open:
            # A cast that PostgreSQL has is the only one between its two types.
            own = builtins().casts.get((source or "", target or ""))
            return own is not None and _CONTEXTS[own] > context
        return not self._catalog.unsure.operators and not self.coercible(source, target, context)

    def _special(self, source: str, target: str, context: int) -> bool:
        """Rows, types of the schema that may have casts, and what goes through the text of a value."""
        if self._maybe_range(source) or self._maybe_range(target):
            return True
        rows = self.category(source)[0] == "C" or source == "record"
        if rows and (
            target == "record" or self.category(target)[0] in "CU" or self.category(target)[0] == "P"
        ):
            return True
        if context >= ASSIGNMENT and self.category(target)[0] == "S":
            return True
        return context >= EXPLICIT and self.category(source)[0] == "S"

    def _fits(self, source: str, target: str) -> bool:
        base = self.base(source)
        if base is None:
            return True
        match target.replace("compatible", ""):
            case "anyarray":
                return element(base) is not None or base == "anyarray"
            case "anynonarray":
                return not base.endswith("[]")
            case "anyenum":
                return self.category(base)[0] == "E"
            case "anyrange":
                return base in RANGES or self._maybe_range(base)
            case "anymultirange":
                return base in MULTIRANGES or self._maybe_range(base)
            case _:
                return True

    def _maybe_range(self, name: str) -> bool:
        own = self._catalog.named(name)
        return own is not None and own.kind == "other"

    def is_operator(self, name: str) -> bool:
        """Whether there is, or may be, an operator of this name."""
        known = name in builtins().operators or name in _OWN or name in self._catalog.operators
        return known or self._catalog.unsure.operators or self._catalog.unsure.everything

    def operator(self, name: str, left: Name, right: Name) -> Signature | Outcome:
        """The operator between two values; `left` is `` for one in front of a value."""
        own = self._catalog.operators.get(name, ())
        known = (*builtins().operators.get(name, ()), *_OWN.get(name, ()), *own)
        prefix = left == ""
        given: list[Name] = [right] if prefix else [left, right]
        candidates = [each for each in known if len(each.arguments) == len(given)]
        if self._catalog.open:
            known = [each for each in given if each != "unknown"]
            # A literal beside a value is one of its type, where there is such an operator.
            return _own(candidates, known * 2 if len(given) == 2 and len(known) == 1 else given)
        if None not in given and not prefix:
            same = [right if left == "unknown" else left, left if right == "unknown" else right]
            for wanted in (same, [self.base(each) for each in same]):
                exact = [each for each in candidates if list(each.arguments) == wanted]
                if exact and "unknown" not in wanted:
                    return exact[0]
        if self._both_rows(given):
            return Outcome.OPEN
        found = self._best(candidates, given)
        return Outcome.OPEN if found is Outcome.NONE and self._catalog.unsure.operators else found

    def _both_rows(self, given: Sequence[Name]) -> bool:
        return any(each is not None and (each == "record" or self.category(each)[0] == "C") for each in given)

    def function(self, candidates: Sequence[Signature], given: Sequence[Name]) -> Signature | Outcome:
        """The function of these that a call means. Those with too few or too many arguments are left out."""
        if self._catalog.open:
            return _own(candidates, given)
        count = len(given)
        fitting: list[Signature] = []
        for each in candidates[:CANDIDATES_MAX]:
            arguments = _expanded(each, count)
            if arguments is not None:
                fitting.append(
                    Signature(each.kind, each.set, 0, each.variadic, each.returns, arguments, each.outs)
                )
        for each in fitting:
            if list(each.arguments) == list(given) and None not in given:
                return each
        return self._best(fitting, given)

    def _best(self, candidates: Sequence[Signature], given: Sequence[Name]) -> Signature | Outcome:
        left = [
            each
            for each in candidates
            if all(self.coercible(a, b) for a, b in zip(given, each.arguments, strict=True))
            and self._consistent(each, given)
        ]
        if not left:
            return Outcome.NONE
        if len(left) == 1:
            return left[0]
        if None not in given:
            left = self._closest(left, [self.base(each) for each in given])
            if len(left) == 1:
                return left[0]
        returns = {each.returns for each in left}
        if len(returns) == 1 and not returns & POLYMORPHIC:
            # Whichever it is, this comes out; what its arguments are is not known.
            one = left[0]
            return Signature(one.kind, one.set, 0, False, one.returns, (None,) * len(given))
        return Outcome.OPEN

    def _consistent(self, candidate: Signature, given: Sequence[Name]) -> bool:
        """Whether what stands for `anyelement` and its like is the same everywhere."""
        elements: set[str] = set()
        compatible: list[Name] = []
        for a, b in zip(given, candidate.arguments, strict=True):
            if a is not None and a != "unknown" and b in ("anycompatible", "anycompatiblearray"):
                base = self.base(a)
                compatible.append(base if base is None or b == "anycompatible" else element(base))
            if a is None or b not in SIMPLE or a == "unknown":
                continue
            base = self.base(a)
            if base is None:
                return True
            if b == "anyarray":
                inner = element(base)
                if inner is not None:
                    elements.add(inner)
            elif b in ("anyelement", "anynonarray", "anyenum"):
                elements.add(a)
            elif base in RANGES:
                elements.add(RANGES[base])
            elif base in MULTIRANGES:
                elements.add(RANGES[MULTIRANGES[base]])
        if None not in compatible and self.common(compatible) is Outcome.NONE:
            return False
        return len(elements) < 2 or any(self.base(each) != each for each in elements)

    def _closest(self, candidates: list[Signature], given: Sequence[Name]) -> list[Signature]:
        """func_select_candidate, as far as it can be followed."""
        pairs = range(len(given))

        def most(found: list[Signature], wanted: Sequence[list[bool]]) -> list[Signature]:
            counts = [sum(each) for each in wanted]
            return [one for one, count in zip(found, counts, strict=True) if count == max(counts)]

        left = most(
            candidates,
            [[given[i] != "unknown" and c.arguments[i] == given[i] for i in pairs] for c in candidates],
        )
        if len(left) == 1:
            return left
        left = most(
            left,
            [
                [
                    given[i] != "unknown"
                    and (c.arguments[i] == given[i] or self._preferred(given[i], c.arguments[i]))
                    for i in pairs
                ]
                for c in left
            ],
        )
        unknown = [i for i in pairs if given[i] == "unknown"]
        if len(left) == 1 or not unknown:
            return left
        left = self._by_category(left, unknown)
        known = {each for each in given if each != "unknown"}
        if len(left) > 1 and len(known) == 1:
            [one] = known
            again = [c for c in left if all(self.coercible(one, c.arguments[i]) for i in unknown)]
            if len(again) == 1:
                return again
        return left

    def _preferred(self, given: Name, wanted: Name) -> bool:
        if given is None or wanted is None:
            return False
        category, preferred = self.category(wanted)
        return preferred and category == self.category(given)[0]

    def _by_category(self, candidates: list[Signature], unknown: list[int]) -> list[Signature]:
        """The candidates whose types at literals are of the category that these suggest."""
        left = candidates
        for place in unknown:
            found = [self.category(c.arguments[place] or "") for c in candidates]
            categories = {category for category, _ in found}
            category = "S" if "S" in categories else next(iter(categories)) if len(categories) == 1 else None
            if category is None:
                return candidates
            wants = any(preferred for one, preferred in found if one == category)
            left = [
                c
                for c in left
                if (self.category(c.arguments[place] or "")[0] == category)
                and (not wants or self.category(c.arguments[place] or "")[1])
            ]
        return left or candidates

    def result(self, chosen: Signature, given: Sequence[Name]) -> Name:
        """What a call returns."""
        if chosen.returns not in POLYMORPHIC:
            return chosen.returns
        inner: set[Name] = set()
        for a, b in zip(given, chosen.arguments, strict=True):
            if b not in POLYMORPHIC:
                continue
            base = self.base(a)
            if base is None or base == "unknown":
                return None if base is None or len(given) == 1 else self._rest(chosen, given)
            inner.add(self._inner(base, b))
        return self._built(chosen.returns, inner)

    def _rest(self, chosen: Signature, given: Sequence[Name]) -> Name:
        inner = {
            self._inner(self.base(a) or "", b)
            for a, b in zip(given, chosen.arguments, strict=True)
            if b in POLYMORPHIC and a not in (None, "unknown")
        }
        return self._built(chosen.returns, inner) if inner else None

    def _inner(self, base: str, wanted: str) -> Name:
        if wanted.endswith("nonarray"):
            return base
        if wanted.endswith("array"):
            return element(base)
        if wanted.endswith("multirange"):
            return RANGES.get(MULTIRANGES.get(base, ""))
        if wanted.endswith("range"):
            return RANGES.get(base)
        return base

    def _built(self, wanted: Name, inner: set[Name]) -> Name:
        if None in inner or wanted is None:
            return None
        one = self.common([each for each in inner if each is not None])
        if isinstance(one, Outcome) or one is None:
            return None
        if wanted.endswith("nonarray"):
            return one
        if wanted.endswith("array"):
            return f"{one}[]"
        if wanted.endswith("multirange"):
            return next((name for name, of in MULTIRANGES.items() if RANGES[of] == one), None)
        if wanted.endswith("range"):
            return next((name for name, of in RANGES.items() if of == one), None)
        return one

    def common(self, given: Sequence[Name]) -> Name | Outcome:
        """The type that all of these become (UNION, CASE, VALUES, arrays); NONE: they do not fit."""
        known = [each for each in given if each is not None and each != "unknown"]
        if not known:
            return None if None in given or not given else "text"
        if all(each == known[0] for each in known):
            return known[0] if None not in given else None
        bases = [self.base(each) for each in known]
        if None in bases:
            return None
        found = bases[0] or ""
        for each in bases[1:]:
            assert each is not None
            if each == found:
                continue
            if self.category(each)[0] != self.category(found)[0]:
                # PostgreSQL's own types of two categories have nothing in common, whatever casts there are.
                sure = self._catalog.open or not self._catalog.unsure.operators
                return Outcome.NONE if sure else None
            if self._catalog.open and not builtins().casts.keys() >= {(each, found), (found, each)}:
                return None
            up, down = self.coercible(found, each), self.coercible(each, found)
            if not self.category(found)[1] and up and not down:
                found = each
        return found if None not in given else None


def takes(signature: Signature, count: int) -> bool:
    """Whether a function takes so many arguments."""
    return _expanded(signature, count) is not None


def _expanded(signature: Signature, count: int) -> tuple[Name, ...] | None:
    """The types of so many arguments; None where it does not take as many."""
    arguments = signature.arguments
    if len(arguments) - signature.defaults <= count <= len(arguments):
        if signature.variadic and count == len(arguments):
            last = arguments[-1]
            return (*arguments[:-1], _variadic(last))
        return arguments[:count]
    if signature.variadic and count > len(arguments):
        return (*arguments[:-1], *[_variadic(arguments[-1])] * (count - len(arguments) + 1))
    return None


def _own(candidates: Sequence[Signature], given: Sequence[Name]) -> Signature | Outcome:
    """The one of PostgreSQL that takes just these types: nobody can make another one that is preferred."""
    if None in given or "unknown" in given:
        return Outcome.OPEN
    found = [each for each in candidates if list(each.arguments) == list(given) and not each.variadic]
    return found[0] if found else Outcome.OPEN


def _variadic(last: Name) -> Name:
    if last is None or last == "any":
        return last
    return {"anyarray": "anyelement", "anycompatiblearray": "anycompatible"}.get(last, element(last))
