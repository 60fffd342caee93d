"""`dfc validate --schema`: the steps against DDL that is read here, without a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import click

from dfc.cli.deeper import Depth, deepened, has_ddl, is_ddl
from dfc.cli.reports.examined import name_of
from dfc.cli.script import is_session_setting
from dfc.cli.sources import SUFFIX, Compiled, CompileFile, Server, needed
from dfc.compiler.plan_describe import Answer
from dfc.compiler.schema import Catalog, SchemaDescriber, SchemaSource, read_schema

_NOTES_MAX: Final = 5


class _Session(SchemaDescriber):
    """What asks about a file's statements. Its DDL has been read before: nothing has to be run."""

    def execute(self, text: str) -> Answer:
        """Nothing against it."""
        return None


@dataclass(slots=True)
class BySchema:
    """The schema of some files. What a workflow file makes itself comes on top, for this file."""

    sources: list[SchemaSource]
    shared: Depth

    @classmethod
    def of(cls, compile_file: CompileFile, paths: tuple[str, ...]) -> BySchema:
        """Read the files. Raises CliError where one cannot be read; says on stderr what is not understood."""
        sources = [_source(compile_file, path) for path in paths]
        known = read_schema(sources)
        skipped = known.skipped
        texts = {source.name: source.text for source in sources}
        for each in skipped[:_NOTES_MAX]:
            line = texts[each.source].count("\n", 0, each.start) + 1
            click.echo(f"{each.source}:{line}: note: {each.why}; less is checked because of it", err=True)
        if len(skipped) > _NOTES_MAX:
            click.echo(f"{len(skipped) - _NOTES_MAX} more statements are not understood", err=True)
        return cls(sources, _depth(known.catalog))

    def deepen(self, compilation: Compiled) -> Compiled:
        """The file with all of its problems."""
        if has_ddl(compilation):
            texts = [each.text for each in compilation.statements if isinstance(each, Server)]
            own = ";\n".join([text for text in texts if is_ddl(text) or is_session_setting(text)])
            mine = SchemaSource(name=compilation.name, text=own, session=True)
            return deepened(compilation, _depth(read_schema([*self.sources, mine]).catalog))
        return deepened(compilation, self.shared)


def _depth(catalog: Catalog) -> Depth:
    return Depth(describer=_Session(catalog), scratch=True)


def _source(compile_file: CompileFile, path: str) -> SchemaSource:
    text = needed(path)
    if path.endswith(SUFFIX):
        statements = compile_file(path, text).statements
        text = ";\n".join([each.text for each in statements if isinstance(each, Server)])
    return SchemaSource(name=name_of(path), text=text)
