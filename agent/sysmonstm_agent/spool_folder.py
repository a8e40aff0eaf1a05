"""Where a spool lies, that it is nobody else's, and that one agent uses it.

<base>/<machine>-<mark>/    0700; the mark tells hubs and machines apart
    lock                    held while an agent runs; holds its process id
    spool.db                SQLite, with its -wal and -shm
    damaged/                what was moved aside
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from sysmonstm_agent.log import log
from sysmonstm_agent.private_file import sync
from sysmonstm_agent.spool import SpoolRefused

SYSTEM = Path("/var/lib/sysmonstm-agent")
# Beside the database itself.
SIDES = ("", "-wal", "-shm")
# Each may be as large as a spool gets.
MAX_DAMAGED = 2
# One that is just ending, such as under systemd, lets go in this time.
LOCK_S = 2.0


def default_base(environment: Mapping[str, str]) -> Path:
    # systemd makes it, and names several parted by colons.
    if state := environment.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(state)
    if os.access(SYSTEM if SYSTEM.exists() else SYSTEM.parent, os.W_OK):
        return SYSTEM
    state = environment.get("XDG_STATE_HOME", "")
    home = Path(state) if state.startswith("/") else Path("~/.local/state").expanduser()
    return home / "sysmonstm-agent"


def folder_name(machine_id: str, hub: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", machine_id)[:48].lstrip(".")
    return f"{readable}-{zlib.crc32(f'{machine_id} {hub}'.encode()):08x}"


class SpoolFolder:
    """Raises SpoolRefused where somebody else could read or plant samples."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "spool.db"
        # A spool that is being saved from a damaged one.
        self.rescue = path / "rescue.db"
        self._lock: int | None = None

    @property
    def locked(self) -> bool:
        return self._lock is not None

    def prepare(self) -> None:
        """Make it, check it, lock it. Raises OSError where the disk does not let it."""
        if self.locked:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not exist_ok, which follows a symbolic link.
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
        self.check()
        self._lock = self._take_lock()

    def check(self) -> None:
        check_base(self.path.parent)
        check_owned(self.path, stat.S_ISDIR, mode=0o700)
        for base in (self.database, self.rescue):
            for side in SIDES:
                check_owned(Path(f"{base}{side}"), stat.S_ISREG, mode=0o600)
        check_owned(self.path / "lock", stat.S_ISREG, mode=0o600)

    def holder(self) -> int | None:
        """Return the process id of the agent that holds the lock, None = nobody."""
        try:
            lock = os.open(self.path / "lock", os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return int(os.read(lock, 20).strip() or b"0")
        else:
            return None
        finally:
            os.close(lock)

    def move_aside(self) -> None:
        """Put the database with the damaged ones; the oldest of those goes."""
        damaged = self.path / "damaged"
        with contextlib.suppress(FileExistsError):
            damaged.mkdir(mode=0o700)
        check_owned(damaged, stat.S_ISDIR, mode=0o700)
        kept = sorted(damaged.glob("*.db"), key=number_of)
        place = damaged / f"{number_of(kept[-1]) + 1 if kept else 1}.db"
        for side in SIDES:
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.database}{side}", f"{place}{side}")
        for old in kept[: max(0, len(kept) + 1 - MAX_DAMAGED)]:
            remove(old)
        sync(damaged)
        sync(self.path)
        log.warning("spool.moved_aside", to=str(place))

    def adopt_rescue(self) -> None:
        os.rename(self.rescue, self.database)
        sync(self.path)

    def intact(self, inode: int) -> bool:
        """Say whether the database is still the file that was opened."""
        try:
            return os.stat(self.database, follow_symlinks=False).st_ino == inode
        except OSError:
            return False

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(self.path / "lock", flags, 0o600)
        deadline_s = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    os.close(lock)
                    raise SpoolRefused(
                        f"another agent (process {self.holder()}) uses the spool"
                        f" {self.path}; end it, or give this one another"
                        " COLLECTOR_MACHINE_ID or COLLECTOR_SPOOL_DIR."
                    ) from None
                time.sleep(0.05)
        with contextlib.suppress(OSError):  # a full disk; the lock is what counts
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock


def check_base(base: Path) -> None:
    found = os.stat(base)
    if found.st_uid not in (0, os.geteuid()):
        raise SpoolRefused(f"the spool's folder {base} belongs to another user.")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise SpoolRefused(f"other users may write in the spool's folder {base}.")


def check_owned(path: Path, kind: Callable[[int], bool], *, mode: int) -> None:
    """Raise unless it is absent, or ours and of that kind; shut others out."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode):
        raise SpoolRefused(f"{path} is a symbolic link, and a spool follows none.")
    if not kind(found.st_mode):
        raise SpoolRefused(f"{path} is in the place of a part of the spool.")
    if found.st_uid != os.geteuid():
        raise SpoolRefused(f"{path} belongs to another user (id {found.st_uid}).")
    if stat.S_IMODE(found.st_mode) != mode:
        with contextlib.suppress(OSError):  # a disk that is read-only
            os.chmod(path, mode)


def number_of(path: Path) -> int:
    return int(path.stem) if path.stem.isdecimal() else 0


def remove(database: Path) -> None:
    for side in SIDES:
        Path(f"{database}{side}").unlink(missing_ok=True)
