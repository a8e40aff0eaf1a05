"""An embedded hub's SQLite file, opened to be read."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

# What a store must have to be copied, see `migrations`.
NEEDED = {("storage", "0004_account"), ("people", "0003_groups")}


class Unusable(Exception):
    """The file cannot be copied; the text is a sentence for a person."""


class Source:
    """Rows of a store that stands still."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Two stores were never migrated at the same moments.
        history = self.rows(
            "SELECT app, name, applied FROM django_migrations ORDER BY id"
        )
        self.name = hashlib.sha256(repr(history).encode()).hexdigest()
        if NEEDED - {(app, name) for app, name, _ in history}:
            raise Unusable(
                "It is of an older version: start this version's `manage.py up` on "
                "it once, stop it, and try again."
            )

    def rows(self, query: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, params).fetchall()

    def count(self, query: str, params: Sequence[Any] = ()) -> int:
        [(number,)] = self.rows(f"SELECT count(*) FROM {query}", params)
        return int(number)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file for reading, while no hub runs on it. Raises Unusable."""
    if not path.is_file():
        raise Unusable(f"There is no file {path}.")
    try:
        with (
            _alone(path.parent / "hub.lock"),
            closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        ):
            yield Source(connection)
    except sqlite3.DatabaseError as wrong:
        raise Unusable(f"{path} is not a hub's SQLite file ({wrong}).") from None


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    if not lock.exists():
        yield
        return
    file = os.open(lock, os.O_RDONLY)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(
                f"A hub runs on {lock.parent}. Stop it first: what it stores while "
                "the copy is made would be left behind."
            ) from None
        yield
    finally:
        os.close(file)
