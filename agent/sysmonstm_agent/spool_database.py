"""The disk spool's database: its tables, and how it is opened, made and judged.

origin   the epoch, and what was lost before it; written once an epoch
state    which numbers are here, and the counts; written every tick
layout   the lists of series that samples refer to, each once
sample   the samples, numbered `first` to `last` without holes
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sysmonstm_agent.spool_record import (
    PAGE_BYTES,
    Damaged,
    Record,
    checksum,
    cost_bytes,
)

VERSION = 1
SCHEMA = """
CREATE TABLE origin (id INTEGER PRIMARY KEY, epoch BLOB, lost INTEGER, sum INTEGER);
CREATE TABLE state (id INTEGER PRIMARY KEY, first INTEGER, last INTEGER,
  evicted INTEGER, damaged INTEGER, graves INTEGER, clock_s INTEGER,
  size_bytes INTEGER, sum INTEGER);
CREATE TABLE layout (id INTEGER PRIMARY KEY, until INTEGER, body BLOB, sum INTEGER);
CREATE TABLE sample (sequence INTEGER PRIMARY KEY, time INTEGER, layout INTEGER,
  clock INTEGER, content BLOB, sum INTEGER);
"""
# The file's first bytes: its magic, the size of a page, twice "with a log", constants.
HEADER = b"SQLite format 3\0" + PAGE_BYTES.to_bytes(2, "big") + b"\2\2\0\x40\x20\x20"
# The agent has 36 MiB in all. Pages in the cache save nothing here: each is
# written once, and read at most once.
CACHE_KIB = 64
# The log of what is not yet in its place, some 20 ticks: how often an fsync more.
LOG_PAGES = 64
# A read of the whole to see whether it is sound must not keep the agent waiting.
MAX_CHECKED_BYTES = 16 * 1024 * 1024
# Another process reads for a moment: `sysmonstm-agent spool`.
BUSY_S = 1.0

PRAGMAS = (
    "synchronous = FULL",
    "fullfsync = ON",  # on macOS an fsync alone leaves it in the drive's cache
    "checkpoint_fullfsync = ON",
    f"cache_size = -{CACHE_KIB}",
    f"wal_autocheckpoint = {LOG_PAGES}",
    f"journal_size_limit = {LOG_PAGES * PAGE_BYTES}",
    "mmap_size = 0",
    "temp_store = MEMORY",
    "cell_size_check = ON",
    "trusted_schema = OFF",
)
TEMPORARY = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class DiskTrouble(Exception):
    """The disk does not take it now (temporary)."""


class Origin(NamedTuple):
    epoch: bytes
    lost: int


class State(NamedTuple):
    """Samples `first` to `last` are here; first = last + 1: none is.

    Rows below `first` are as good as gone, and go with one of the next ticks.
    """

    first: int = 1
    last: int = 0
    evicted: int = 0
    # How many of those evicted were damaged.
    damaged: int = 0
    # How many of those are still among `first` to `last`, as gravestones.
    graves: int = 0
    # How long agents have run on this spool: its own clock, which never jumps.
    clock_s: int = 0
    size_bytes: int = 0


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """Tell a disk that is in trouble from a file that is damaged."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        # Closed, since another thread could not go on with it.
        raise DiskTrouble(str(error)) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in TEMPORARY:
            raise DiskTrouble(str(error)) from error
        raise Damaged(str(error)) from error
    except OSError as error:
        text = error.strerror or str(error)
        if error.filename:
            text += f": {error.filename}"
        raise DiskTrouble(text) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise Damaged(str(error)) from error


def connect(path: Path, *, frozen: bool = False) -> sqlite3.Connection:
    with faults():
        try:
            return prepared(path, "mode=rw", frozen=frozen)
        except sqlite3.OperationalError:
            wal = Path(f"{path}-wal")
            if not frozen or (wal.exists() and wal.stat().st_size):
                raise
            # A read-only disk has no room for a log, and here none is needed.
            return prepared(path, "immutable=1", frozen=True)


def prepared(path: Path, mode: str, *, frozen: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        # Each is used by one thread at a time; which one may change.
        check_same_thread=False,
        cached_statements=32,
    )
    try:
        if frozen:
            # Keeps the index of the log in memory instead of in a file.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: Path, origin: Origin, state: State) -> None:
    """Make a spool without samples, complete and on disk once this returns."""
    with faults():
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        os.close(os.open(path, flags, 0o600))
    connection = connect(path)
    try:
        with faults():
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            with transaction(connection):
                for statement in SCHEMA.split(";")[:-1]:
                    connection.execute(statement)
                write_origin(connection, origin)
                write_state(connection, state)
                connection.execute(f"PRAGMA user_version = {VERSION}")
    finally:
        # Moves everything from the log into the file.
        connection.close()


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise Damaged if a short look finds that it is not what it should be."""
    with faults():
        with open(path, "rb") as file:
            if file.read(len(HEADER)) != HEADER:
                # Some of these SQLite takes for a wish to be read-only.
                raise Damaged("its header makes no sense")
        version = value(connection, "PRAGMA user_version")
        if version != VERSION:
            raise Damaged(f"its version is {version}, not {VERSION}")
        pages = value(connection, "PRAGMA page_count")
        if pages * PAGE_BYTES <= MAX_CHECKED_BYTES:
            [(verdict,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
            if verdict != "ok":
                raise Damaged(str(verdict))


def read_origin(connection: sqlite3.Connection) -> Origin:
    with faults():
        row = connection.execute("SELECT epoch, lost, sum FROM origin").fetchone()
        if row is None or row[2] != checksum(*row[:2]):
            raise Damaged("its origin cannot be read")
        return Origin(*row[:2])


def write_origin(connection: sqlite3.Connection, origin: Origin) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO origin VALUES (1, ?, ?, ?)",
        (*origin, checksum(*origin)),
    )


def read_state(connection: sqlite3.Connection) -> State:
    with faults():
        row = connection.execute("SELECT * FROM state").fetchone()
        if row is None or row[-1] != checksum(*row[1:-1]):
            raise Damaged("its state cannot be read")
        return State(*row[1:-1])


def write_state(connection: sqlite3.Connection, state: State) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*state, checksum(*state)),
    )


def insert(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    # A tick that failed to become durable is written again, not trusted.
    connection.executemany(
        "INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?, ?)", records
    )


def insert_layout(
    connection: sqlite3.Connection, number: int, until: int | None, body: bytes
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO layout VALUES (?, ?, ?, ?)",
        (number, until, body, checksum(number, body)),
    )


def layout_bytes(connection: sqlite3.Connection) -> int:
    lengths = connection.execute("SELECT length(body) FROM layout")
    return sum(cost_bytes(length or 0) for (length,) in lengths)


def sample_bytes(connection: sqlite3.Connection) -> int:
    lengths = connection.execute("SELECT length(content) FROM sample")
    return sum(cost_bytes(length or 0) for (length,) in lengths)


def cost(one: Record) -> int:
    return cost_bytes(len(one.content or b""))


def value(connection: sqlite3.Connection, statement: str, *values: int) -> int:
    row = connection.execute(statement, values).fetchone()
    return int(row[0])


@contextlib.contextmanager
def transaction(
    connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE"
) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            # SQLite may have done so itself, for a full disk.
            connection.execute("ROLLBACK")
        raise
