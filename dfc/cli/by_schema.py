"""`dfc validate --schema`: the steps against DDL that is read without a server, by a process of its own."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Self

import click

from dfc.cli.errors import CliError
from dfc.cli.reports.examined import name_of
from dfc.cli.sources import SUFFIX, Compiled, CompileFile, Server, needed, problem_of
from dfc.executor.child import Child
from dfc.executor.compiler_child import Allowance, Died, crashed

if TYPE_CHECKING:
    from dfc.cli.reading_schema import Skipped

MODULE: Final = "dfc.cli.reading_schema"
ALLOWED: Final = Allowance()
_NOTES_MAX: Final = 5


class BySchema:
    """The schema of some files, in a process that is started again when it dies; a context manager.

    Raises CliError where a file cannot be read; says on stderr what is not understood.
    """

    def __init__(self, compile_file: CompileFile, paths: tuple[str, ...]) -> None:
        self._sources = [(name_of(path), _text(compile_file, path)) for path in paths]
        self._child: Child | None = None
        self._begin(say=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.stop()

    @property
    def pid(self) -> int | None:
        """The process that reads the trees, None where there is none just now."""
        return None if self._child is None else self._child.pid

    def deepen(self, compilation: Compiled) -> Compiled:
        """The file with all of its problems. One that the process dies over has DF590."""
        if self._child is None:
            self._begin(say=False)
        found = self._ask(compilation, len(compilation.text))
        if isinstance(found, Compiled):
            return found
        if isinstance(found, Died):
            self._child = None
            [diagnostic] = crashed(compilation.text, found)["diagnostics"]
        else:
            [diagnostic] = crashed(compilation.text, Died(str(found.why)))["diagnostics"]
        problem = problem_of(compilation.name, diagnostic)
        return replace(compilation, problems=(*compilation.problems, problem))

    def _begin(self, *, say: bool) -> None:
        self._child = Child(MODULE)
        skipped = self._ask(self._sources, sum(len(text) for _, text in self._sources))
        if isinstance(skipped, Died):
            raise CliError(f"the schema cannot be read: its reader died ({skipped.why})")
        if say:
            _notes(self._sources, skipped)

    def _ask(self, request: object, characters: int) -> Any:
        """What the process answers, or how it died."""
        assert self._child is not None
        allowance = ALLOWED.of(characters)
        pair = (allowance.processor_seconds, request)
        return self._child.ask(lambda pipe: pickle.dump(pair, pipe), _loaded, allowance)


def _loaded(pipe: IO[bytes]) -> object:
    with contextlib.suppress(pickle.UnpicklingError):
        return pickle.load(pipe)
    return None


def _notes(sources: Sequence[tuple[str, str]], skipped: Sequence[Skipped]) -> None:
    texts = dict(sources)
    for source, start, why in skipped[:_NOTES_MAX]:
        line = texts[source].count("\n", 0, start) + 1
        click.echo(f"{source}:{line}: note: {why}; less is checked because of it", err=True)
    if len(skipped) > _NOTES_MAX:
        click.echo(f"{len(skipped) - _NOTES_MAX} more statements are not understood", err=True)


def _text(compile_file: CompileFile, path: str) -> str:
    text = needed(path)
    if path.endswith(SUFFIX):
        statements = compile_file(path, text).statements
        text = ";\n".join([each.text for each in statements if isinstance(each, Server)])
    return text
