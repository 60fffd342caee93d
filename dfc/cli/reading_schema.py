"""The process that reads a schema and checks files against it: `python -m dfc.cli.reading_schema`.

It is a process of its own because the C parser is in it (libpg_query): what kills that must not kill dfc.
What comes and goes are pickles, between two processes of the same program: first the sources, answered with
what is not understood, then a compiled file each, answered with the same with all of its problems. Each has
the processor time with it that it may take.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias, cast

from dfc.cli.deeper import Depth, deepened, has_ddl, is_ddl
from dfc.cli.script import is_session_setting
from dfc.cli.sources import Compiled, Server
from dfc.compiler.plan_describe import Answer
from dfc.compiler.processor_time import processor_time
from dfc.compiler.schema import Catalog, SchemaDescriber, SchemaSource, read_schema

Skipped: TypeAlias = tuple[str, int, str]
"""A statement that was not understood: its file, where it begins, why."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the process says in place of an answer."""

    why: str


class _Session(SchemaDescriber):
    """What asks about a file's statements. Its DDL has been read before: nothing has to be run."""

    def execute(self, text: str) -> Answer:
        """Nothing against it."""
        return None


class Schema:
    """The schema of some files. What a workflow file makes itself comes on top, for this file."""

    def __init__(self, sources: Sequence[tuple[str, str]]) -> None:
        self._sources = [SchemaSource(name=name, text=text) for name, text in sources]
        known = read_schema(self._sources)
        self.skipped: list[Skipped] = [(each.source, each.start, each.why) for each in known.skipped]
        self._shared = _depth(known.catalog)

    def deepen(self, compilation: Compiled) -> Compiled:
        """The file with all of its problems."""
        if not has_ddl(compilation):
            return deepened(compilation, self._shared)
        texts = [each.text for each in compilation.statements if isinstance(each, Server)]
        own = ";\n".join([text for text in texts if is_ddl(text) or is_session_setting(text)])
        mine = SchemaSource(name=compilation.name, text=own, session=True)
        return deepened(compilation, _depth(read_schema([*self._sources, mine]).catalog))


def _depth(catalog: Catalog) -> Depth:
    return Depth(describer=_Session(catalog), scratch=True)


def main() -> None:
    """Answer standard input until it ends. Whatever else prints goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        _serve(sys.stdin.buffer, answers)
    except (BrokenPipeError, EOFError, KeyboardInterrupt):
        return


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Raises EOFError where the requests end."""
    seconds, sources = cast("tuple[float, list[tuple[str, str]]]", pickle.load(requests))
    with processor_time(seconds):
        schema = Schema(sources)
    _answer(answers, schema.skipped)
    while True:
        seconds, compilation = cast("tuple[float, Compiled]", pickle.load(requests))
        try:
            with processor_time(seconds):
                found: Compiled | Failure = schema.deepen(compilation)
        except (Exception, MemoryError) as wrong:
            # A fault of dfc: the file has a diagnostic of it, and the next one is looked at.
            found = Failure(f"{type(wrong).__name__}: {wrong}")
        _answer(answers, found)


def _answer(answers: BinaryIO, value: object) -> None:
    pickle.dump(value, answers)
    answers.flush()


if __name__ == "__main__":
    main()
