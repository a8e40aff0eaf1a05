"""A migrated SQLite file, made once in a test run and copied from then on.

To migrate an empty one costs more than all else that a small hub does to start.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# Where it lies: set by the plugin, the same for all workers.
FOLDER = "TEST_PREPARED_FOLDER"
NAME = "sysmonstm.sqlite3"

MIGRATE_S = 100


def database(folder: Path, env: Mapping[str, str], root: Path) -> None:
    """Put a copy into `folder`, for a hub that is not new."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_made(Path(os.environ[FOLDER], "prepared"), env, root), folder)


def _made(folder: Path, env: Mapping[str, str], root: Path) -> Path:
    folder.mkdir(exist_ok=True)
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            subprocess.run(
                (sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"),
                cwd=root,
                env={**env, "DATA_DIR": str(folder)},
                check=True,
                timeout=MIGRATE_S,
            )
            done.touch()
    return folder / NAME
