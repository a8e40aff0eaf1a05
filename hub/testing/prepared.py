"""Migrated databases, made once in a test run and copied from then on.

To migrate an empty one costs more than all else that a small hub does to start.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg

from hub.testing import services

# Where they lie: set by the plugin, the same for all workers.
FOLDER = "TEST_PREPARED_FOLDER"
NAME = "sysmonstm.sqlite3"
# As docker-compose.yml names it.
DATABASE = "sysmonstm"

MIGRATE_S = 300


def database(folder: Path, env: Mapping[str, str], root: Path) -> None:
    """Put a copy into `folder`, for a hub that is not new."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_made("sqlite", partial(_sqlite, env, root)) / NAME, folder)


@contextmanager
def postgres(
    env: Mapping[str, str], root: Path, *, durable: bool = False
) -> Iterator[str]:
    """Run a PostgreSQL of one's own; yield the URL of a hub's that is not new."""
    like = _made("timescaledb", partial(_timescale, env, root))
    with services.postgres(durable=durable, like=like) as admin:
        yield _ours(admin)


def _made(name: str, make: Callable[[Path], None]) -> Path:
    folder = Path(os.environ[FOLDER], "prepared", name)
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder


def _sqlite(env: Mapping[str, str], root: Path, folder: Path) -> None:
    _migrate({**env, "DATA_DIR": str(folder)}, root)


def _timescale(env: Mapping[str, str], root: Path, folder: Path) -> None:
    with services.postgres(keep=folder) as admin:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        _migrate({**env, "DATA_DIR": str(folder), "TIMESCALE_URL": _ours(admin)}, root)


def _ours(admin: str) -> str:
    return f"{admin.rpartition('/')[0]}/{DATABASE}"


def _migrate(env: Mapping[str, str], root: Path) -> None:
    subprocess.run(
        (sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"),
        cwd=root,
        env=env,
        check=True,
        timeout=MIGRATE_S,
    )
