"""How deep `dfc validate` looks: the text alone, DDL, DDL in a scratch database, or a database."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dfc.cli.copying import body as without_comments
from dfc.cli.errors import CliError
from dfc.cli.sources import Compiled, CompileFile, Server, needed

if TYPE_CHECKING:
    from dfc.cli.crashing.scratch import Scratch
    from dfc.cli.deeper import Depth
    from dfc.compiler.plan_describe import Answer, Statement
    from dfc.executor.describe.database import DatabaseDescriber

Deepen = Callable[[Compiled], Compiled]

ROLE: Final = "dfc_validate"
"""Who owns the scratch databases: what a file says runs without any rights beyond them."""

_EXTENSION: Final = re.compile(r"create\s+extension\b", re.IGNORECASE)
_PSQL: Final = re.compile(r"^[ \t]*\\[^\n]*", re.MULTILINE)
_COPY: Final = re.compile(
    r"^COPY [^;]* FROM stdin;\n(?:(?!\\\.)[^\n]*\n)*\\\.$", re.MULTILINE | re.IGNORECASE
)


@contextlib.contextmanager
def depth(
    compile_file: CompileFile, schema: tuple[str, ...], *, exact: bool, database: str | None
) -> Generator[Deepen]:
    """What makes a compiled file's problems complete, as deep as the options say. Raises CliError."""
    if database is not None and (schema or exact):
        raise CliError("--database has its own schema: leave out --schema and --exact", exit_code=2)
    if database is not None:
        with _of_database(database) as deepen:
            yield deepen
    elif exact:
        with _exact(compile_file, schema) as deepen:
            yield deepen
    elif schema:
        from dfc.cli.by_schema import BySchema

        with BySchema(compile_file, schema) as by_schema:
            yield by_schema.deepen
    else:
        yield _as_it_is


def _as_it_is(compilation: Compiled) -> Compiled:
    return compilation


@contextlib.contextmanager
def _of_database(database: str) -> Generator[Deepen]:
    from dfc.cli.database import target
    from dfc.cli.deeper import Depth, deepened
    from dfc.executor.describe.database import DatabaseDescriber

    with target(database) as where, contextlib.ExitStack() as open_ones:
        describer = open_ones.enter_context(DatabaseDescriber(where.conninfo))

        def deepen(compilation: Compiled) -> Compiled:
            found = deepened(compilation, Depth(describer=describer))
            describer.execute("RESET ALL")
            return found

        yield deepen


@contextlib.contextmanager
def _exact(compile_file: CompileFile, schema: tuple[str, ...]) -> Generator[Deepen]:
    from dfc.cli.crashing.scratch import Scratch

    statements = [text for path in schema for text in ddl(compile_file, path)]
    with Scratch("dfc-validate-") as scratch, contextlib.ExitStack() as open_ones:
        databases = _Databases(scratch, statements, open_ones)
        yield databases.deepen


def ddl(compile_file: CompileFile, path: str) -> list[str]:
    """The statements of a schema file, such as `pg_dump` writes; without psql's commands and data.

    Raises CliError when it cannot be read.
    """
    text = _PSQL.sub(_blank, _COPY.sub(_blank, needed(path)))
    return [each.text for each in compile_file(path, text).statements if isinstance(each, Server)]


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


@dataclass(frozen=True, slots=True)
class _WithExtensions:
    """A session of a scratch database, whose extensions a superuser makes: most may not be made by its owner.

    These are what the embedded server brings, and nothing of the user's.
    """

    describer: DatabaseDescriber
    superuser: str

    def describe(self, statement: Statement) -> Answer:
        """What PostgreSQL says of a statement."""
        return self.describer.describe(statement)

    def execute(self, text: str) -> Answer:
        """Run a statement; why it has not run, or None."""
        import psycopg

        if _EXTENSION.match(without_comments(text)) is not None:
            with (
                contextlib.suppress(psycopg.Error),  # said below, with its place
                psycopg.connect(self.superuser, autocommit=True) as connection,
            ):
                connection.execute(text.encode())
                self.describer.forget()
                return None
        return self.describer.execute(text)


@dataclass(slots=True)
class _Databases:
    """Scratch databases with the schema: one for the files without DDL, one for each of the others."""

    scratch: Scratch
    statements: list[str]
    open_ones: contextlib.ExitStack
    _base: str | None = None
    _absent: tuple[str, ...] = ()
    _shared: Depth | None = None

    def deepen(self, compilation: Compiled) -> Compiled:
        """The file with all of its problems."""
        from dfc.cli.deeper import deepened, has_ddl

        if has_ddl(compilation):
            with self._one() as own:
                return deepened(compilation, own)
        if self._shared is None:
            self._shared = self.open_ones.enter_context(self._one())
        found = deepened(compilation, self._shared)
        self._shared.describer.execute("RESET ALL")
        return found

    @contextlib.contextmanager
    def _one(self) -> Generator[Depth]:
        """A copy of the database with the schema."""
        from dfc.cli.deeper import Depth
        from dfc.executor.describe.database import DatabaseDescriber

        name = self.scratch.make_for(ROLE, self._made())
        try:
            with DatabaseDescriber(self._conninfo(name), scratch=True) as describer:
                session = _WithExtensions(describer, self.scratch.conninfo(name))
                yield Depth(describer=session, scratch=True, absent=self._absent)
        finally:
            self.scratch.drop(name)

    def _made(self) -> str:
        from dfc.cli.deeper import load
        from dfc.executor.describe.database import DatabaseDescriber
        from dfc.executor.migrate import install

        if self._base is None:
            base = self.scratch.make_for(ROLE)
            install(self._conninfo(base))
            with DatabaseDescriber(self._conninfo(base), scratch=True) as describer:
                session = _WithExtensions(describer, self.scratch.conninfo(base))
                self._absent = load(session, self.statements)
            self._base = base
        return self._base

    def _conninfo(self, name: str) -> str:
        from psycopg.conninfo import make_conninfo

        return make_conninfo(self.scratch.conninfo(name), user=ROLE)
