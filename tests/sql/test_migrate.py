"""The installer."""

from dfc.executor import migrate
from dfc.executor.migrate import SchemaState


def test_install_once(bare_database: str) -> None:
    assert migrate.check(bare_database) is SchemaState.NOT_INSTALLED
    report = migrate.install(bare_database)
    assert (report.before, report.code_replaced) == (SchemaState.NOT_INSTALLED, True)
    assert migrate.check(bare_database) is SchemaState.SAME
    again = migrate.install(bare_database)
    assert (again.before, again.applied, again.code_replaced) == (SchemaState.SAME, (), False)
