"""The kernel's table of processes, read in one pass.

Only what ranks a process is read of each: one small file. Names, users and command
lines are read of the few that are told of.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from sysmonstm_agent.files import Files
from sysmonstm_agent.machine import boot_time_unix_ms

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Of a command line. What is told is far shorter.
COMMAND_BYTES = 4096


class Row(NamedTuple):
    """One process. `started` and the pid together name it for ever."""

    pid: int
    started: float
    cpu_s: float
    memory_bytes: int
    # In the middle of a wait for a device.
    waits: bool
    name: str


class Io(NamedTuple):
    read_bytes: int
    written_bytes: int


class Table:
    """Reads /proc. Whatever a process that ends meanwhile had to say is left out."""

    def __init__(self, files: Files) -> None:
        self._root = files.proc_root
        self._booted_ms = boot_time_unix_ms(files)
        self._user = names_of_users(self._root)

    def rows(self) -> list[Row]:
        rows: list[Row] = []
        # Relative to the folder: the kernel looks up one name less for each.
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in os.listdir(folder):
                if name[0] in "123456789":
                    line = read(f"{name}/stat", 1024, folder)
                    if line:
                        rows.append(row(int(name), line))
        finally:
            os.close(folder)
        return rows

    def io(self, pid: int) -> Io | None:
        """Return what a process read and wrote since its start; None: not told."""
        text = read(f"{self._root}/{pid}/io", 512)
        found = dict(line.split(b": ", 1) for line in text.splitlines())
        try:
            return Io(int(found[b"read_bytes"]), int(found[b"write_bytes"]))
        except (KeyError, ValueError):
            return None

    def command(self, pid: int) -> list[str]:
        """Return the arguments; none of a kernel thread, or of one that is gone."""
        raw = read(f"{self._root}/{pid}/cmdline", COMMAND_BYTES)
        text = raw.rstrip(b"\0").decode("utf-8", "replace")
        return text.split("\0") if text else []

    def user(self, pid: int) -> str:
        try:
            # The folder itself shows the user also where its files are root's.
            return self._user(os.stat(f"{self._root}/{pid}").st_uid)
        except OSError:
            return ""

    def started_unix_ms(self, row: Row) -> int:
        if not self._booted_ms:
            return 0
        return self._booted_ms + int(row.started * 1000 / TICKS_PER_S)


def row(pid: int, line: bytes) -> Row:
    """Read a line of /proc/<pid>/stat (proc_pid_stat(5))."""
    # A name may hold blanks and parentheses, even lines.
    end = line.rindex(b")")
    fields = line[end + 2 :].split(b" ", 22)
    return Row(
        pid,
        int(fields[19]),
        (int(fields[11]) + int(fields[12])) / TICKS_PER_S,
        int(fields[21]) * PAGE_BYTES,
        fields[0] == b"D",
        line[line.index(b"(") + 1 : end].decode("utf-8", "replace"),
    )


def read(path: str, size: int, folder: int | None = None) -> bytes:
    """Return the beginning of a small kernel file; nothing if it may not be read."""
    try:
        # Half the time that a file object takes, a thousand times.
        number = os.open(path, os.O_RDONLY, dir_fd=folder)
    except OSError:
        return b""
    try:
        return os.read(number, size)
    except OSError:
        return b""
    finally:
        os.close(number)


def names_of_users(proc_root: str) -> Callable[[int], str]:
    """Return what names a user; another machine's /proc has its own users."""
    known: dict[int, str] = {}
    if proc_root != "/proc":
        text = read(f"{proc_root}/1/root/etc/passwd", 1024 * 1024).decode(
            "utf-8", "replace"
        )
        for line in text.splitlines():
            name, *fields = line.split(":")
            if len(fields) > 2 and fields[1].isdigit():
                known.setdefault(int(fields[1]), name)
        return lambda uid: known.get(uid, str(uid))

    def look_up(uid: int) -> str:
        if uid not in known:
            import pwd

            try:
                known[uid] = pwd.getpwuid(uid).pw_name
            except KeyError:
                known[uid] = str(uid)
        return known[uid]

    return look_up
