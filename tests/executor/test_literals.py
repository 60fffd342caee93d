"""A literal with references is the text that it would be if the values stood in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from dfc.compiler.plan import Form
from dfc.executor.journal import Rows
from tests.depth import depth
from tests.executor.bed import Bed
from tests.executor.typed_values import TEXT


@pytest.fixture(scope="module")
def bed(shared_database: str) -> Iterator[Bed]:
    made = Bed(shared_database, "CREATE TABLE target (id int)")
    yield made
    made.close()


# What stands in the literal, and what it means with the value `v` of `$s` and NULL of `$s.none`. Blanks
# around a text keep it from going on a reference, or from being the beginning of one.
REFERENCES = st.sampled_from(
    [("$s", "v"), ("$s?", "v"), ("$s.a", "v"), ("$s.none?", ""), ("$$s", "$s"), ("$other", "$other")]
)
TEXTS = st.text(st.sampled_from("ab'\\ $1é円\n-/*\"{}?.%"), max_size=6).map(lambda text: (f" {text} ",) * 2)
PARTS = st.lists(st.tuples(REFERENCES, TEXTS), min_size=1, max_size=4).map(
    lambda pairs: [part for pair in pairs for part in pair]
)


def _kept(text: str, written: str) -> str:
    """The raw form of a run of text in a literal of this kind."""
    match written:
        case "E":
            return text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        case "U&":
            return text.replace("!", "!!").replace("'", "''").replace("é", "!00e9")
        case _:
            return text.replace("'", "''")


def literal(parts: list[tuple[str, str]], prefix: str) -> str:
    """The parts as a literal with a prefix: empty, E, U&, or `+` for one that goes on behind line breaks."""
    if prefix == "+":
        return " \n ".join(f"'{_kept(raw, prefix)}'" for raw, _ in parts)
    inside = "".join(_kept(raw, prefix) for raw, _ in parts)
    return f" {prefix}'{inside}'" + (" UESCAPE '!'" if prefix == "U&" else "")


@settings(max_examples=depth(150), deadline=None)
@given(
    parts=PARTS,
    value=TEXT,
    prefix=st.sampled_from(["", "E", "U&", "+"]),
    form=st.sampled_from([Form.WITH, Form.QUERY]),
)
def test_texts(bed: Bed, parts: list[tuple[str, str]], value: str, prefix: str, form: Form) -> None:
    written = literal(parts, prefix)
    note(written)
    expected = "".join(value if meant == "v" else meant for _, meant in parts)
    source = Rows(columns=("a", "none"), types=(25, 25), cells=(value, None), row_count=1)
    bed.on.results["s"] = source
    assert bed.step(f"SELECT {written}, {written} = {written}", form=form).cells == (expected, "t")
    bed.step(f"COMMENT ON TABLE target IS {written}")
    assert bed.step("SELECT obj_description('target'::regclass)").cells == (expected or None,)
