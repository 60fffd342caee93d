"""`--http-mock`: a file that answers HTTP steps."""

from __future__ import annotations

from pathlib import Path

import click

from dfc.cli.errors import CliError
from dfc.executor.runners.http_mock import HttpMock, MockFault, read_mock

http_mock_option = click.option(
    "--http-mock",
    metavar="FILE",
    help="Answer HTTP steps from this JSON file; no request reaches the network.",
)
"""`--http-mock`, as the parameter `http_mock`."""


def mock_of(path: str | None) -> HttpMock | None:
    """The mock of a file. Raises CliError."""
    try:
        return None if path is None else read_mock(Path(path))
    except MockFault as fault:
        raise CliError(str(fault)) from None
