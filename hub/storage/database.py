"""One bit about every failure of the database: will it pass by itself?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    connections,
)

# A standby that was promoted, or one that is not yet: the next try finds it.
_READ_ONLY = "25006"
# https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
_RETRIED = {"40001", "40P01"}

# Classes that speak of a row and not of the server: its data, a constraint, a limit
# of its size, a trigger that raises, a view's check.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_OF_A_ROW = ("22", "23", "44", "54", "P0")

_PASSING_SQLITE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


class DatabaseDown(Exception):
    """The database cannot answer now (temporary): keep what you have, come back."""


def answer_within(seconds: int) -> None:
    """Have PostgreSQL end this process's statements after so long.

    Before the first of them: a pool keeps what it began with.
    """
    options = connections.settings["default"]["OPTIONS"]
    if "options" in options:
        options["options"] = f"-c statement_timeout={seconds * 1000}"


@contextmanager
def guard() -> Iterator[None]:
    """Turn temporary trouble into DatabaseDown; leave real errors alone.

    This thread's connection is closed then, so that the next call makes a new one.
    """
    try:
        yield
    except DatabaseError as error:
        if not is_temporary(error):
            raise
        _discard()
        raise DatabaseDown(str(error).strip() or type(error).__name__) from error
    except InterfaceError as error:
        # "The connection is closed": somebody noticed before we did.
        _discard()
        raise DatabaseDown(str(error).strip()) from error


def is_temporary(error: DatabaseError) -> bool:
    """Tell trouble that passes (lost, locked, full, starting) from a fault."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        # The low byte is the primary code.
        code = getattr(cause, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _PASSING_SQLITE
    if isinstance(error, InternalError):
        return sqlstate(error) == _READ_ONLY
    return isinstance(error, OperationalError) and not blames_a_row(error)


def blames_a_row(error: DatabaseError) -> bool:
    """Tell whether the statement would do without one of its rows."""
    if isinstance(error, DataError | IntegrityError):
        return True
    return (sqlstate(error) or "").startswith(_OF_A_ROW)


def is_collision(error: DatabaseError) -> bool:
    """Tell whether two transactions were merely in each other's way."""
    return sqlstate(error) in _RETRIED


def sqlstate(error: DatabaseError) -> str | None:
    state = getattr(error.__cause__, "sqlstate", None)
    return state if isinstance(state, str) else None


def _discard() -> None:
    # Closing a connection that is already broken may fail; it is gone then.
    with suppress(DatabaseError, InterfaceError):
        connection.close()
