"""Writing a workflow file in the place of the old one, whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dfc.cli.errors import CliError
from dfc.compiler.render import clean

_BOM = b"\xef\xbb\xbf"


def write(path: str, old: str, new: str) -> None:
    """Replace the text of a file; a mark of the byte order stays.

    Whoever reads it meanwhile finds the old text or the new one. The file keeps its owner and permissions,
    and a link stays one. Raises OSError, also where it is no file, may not be written, or somebody else has
    changed it since it was read.
    """
    file = Path(path).resolve()
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is not a regular file")
    if not os.access(file, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    data = file.read_bytes()
    mark = _BOM if data.startswith(_BOM) else b""
    if data != mark + old.encode():
        raise OSError("it has been changed while it was looked at; nothing was written")
    _replace(file, mark + new.encode(), found)


def write_output(path: str, text: str) -> None:
    """Write what a command makes; a file that is there is replaced, whole or not at all. Raises CliError.

    What is no file, such as /dev/stdout, is written to, and a file in a folder that takes no other.
    """
    file = Path(path).resolve()
    try:
        found = _status(file)
        takes_files = os.access(file.parent, os.W_OK) or found is None
        if found is not None and not (stat.S_ISREG(found.st_mode) and takes_files):
            file.write_text(text, encoding="utf-8")
        elif found is not None and not os.access(file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        else:
            _replace(file, text.encode(), found)
    except OSError as error:
        raise CliError(refusal(path, error)) from None


def difference(name: str, old: str, new: str) -> Iterator[str]:
    """What lies between two texts of a file, as lines that `patch` takes; none where they are the same."""
    found = difflib.unified_diff(_lines(old), _lines(new), clean(name), clean(name), lineterm="")
    for number, line in enumerate(found):
        body = line.removesuffix("\n")
        yield body
        # The head and the places have no line ends, nor has the last line of a text without one.
        if body == line and number > 1 and not line.startswith("@@"):
            yield "\\ No newline at end of file"


def _lines(text: str) -> list[str]:
    """With their ends; what other programs take for the end of a line is none."""
    lines = [f"{line}\n" for line in text.split("\n")]
    return [*lines[:-1], *([lines[-1][:-1]] if len(lines[-1]) > 1 else [])]


def refusal(path: str, error: OSError) -> str:
    """Why a file could not be written."""
    return clean(f"cannot write `{path}`: {error.strerror or error}")


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def _replace(file: Path, data: bytes, found: os.stat_result | None) -> None:
    """Put a file in the place of another one, which keeps its owner and permissions, or of none."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name[:_NAME_CHARACTERS_MAX]}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(data)
            temporary.flush()
            os.fsync(temporary.fileno())
        if found is None:
            Path(name).chmod(0o666 & ~_umask())
        else:
            with contextlib.suppress(OSError, AttributeError):
                os.chown(name, found.st_uid, found.st_gid)
            Path(name).chmod(stat.S_IMODE(found.st_mode))
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_NAME_CHARACTERS_MAX = 40
"""Of the name of the file in that of the temporary one: a name of 255 bytes has no room for more."""
