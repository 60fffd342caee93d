"""DF203: a `$word` in a text that is nearly a name of the workflow, and stays text because it is none."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Http, Text
from dfc.compiler.diagnostics import Diagnostic, Edit, Fix, lint
from dfc.compiler.facts import Facts
from dfc.compiler.nearness import near
from dfc.compiler.span import Span
from dfc.grammar.lexer import IN_TEXT

SIMILARITY_MIN = 0.75
COMPARED_WITH_MAX = 2_000
COMPARED_MAX = 200


def near_name_in_literal(facts: Facts) -> Iterator[Diagnostic]:
    """Look at what is like a reference in literals, and in the texts of requests."""
    known = {name.casefold(): name for name in sorted(facts.scope.known)[:COMPARED_WITH_MAX]}
    meant: dict[str, str | None] = {}
    for word, where in _words(facts):
        if word in facts.scope.known or word in facts.scope.misnamed:
            continue
        # Comparing takes milliseconds in a large workflow: only the first words are compared.
        if word not in meant and len(meant) < COMPARED_MAX:
            found = near(word.casefold(), known, cutoff=SIMILARITY_MIN)
            meant[word] = known[found.word] if found else None
        name = meant.get(word)
        if name is not None:
            yield lint(
                "DF203",
                f"nothing is named `{word}`, so `${word}` stays as it is",
                where,
                label="text, not a reference",
                help=f"did you mean `${name}`?",
                fix=_respelt(where, word, name),
            )


def _respelt(where: Span, word: str, name: str) -> Fix:
    """Not safe: as it stands the text is valid, and says something else."""
    inside = Span(where.start + 1, where.start + 1 + len(word))
    return Fix(edits=(Edit(span=inside, old=word, text=name),), safe=False)


def _words(facts: Facts) -> Iterator[tuple[str, Span]]:
    for unit, analysis in facts.analyses.items():
        for reference in (*analysis.references, *analysis.fixed):
            if reference.literal:
                yield reference.name, facts.locate(unit, reference.start, reference.end)
    for unit, tree in enumerate([unit.tree for unit in facts.outline.units]):
        if isinstance(tree, Http) and unit not in facts.analyses:
            yield from _in_request(tree)


def _in_request(tree: Http) -> Iterator[tuple[str, Span]]:
    for text in (tree.url, tree.body or Text(value="")):
        for found in IN_TEXT.finditer(text.value):
            if found["name"] is not None:
                yield found["name"], text.locate(*found.span())
