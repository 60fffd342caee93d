"""Writing a workflow file in the place of the old one, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

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
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name[:_NAME_CHARACTERS_MAX]}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            temporary.write(mark + new.encode())
            temporary.flush()
            os.fsync(temporary.fileno())
        with contextlib.suppress(OSError, AttributeError):
            os.chown(name, found.st_uid, found.st_gid)
        Path(name).chmod(stat.S_IMODE(found.st_mode))
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


_NAME_CHARACTERS_MAX = 40
"""Of the name of the file in that of the temporary one: a name of 255 bytes has no room for more."""
