"""A real SQLite store is copied into TimescaleDB, by the real command."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hub.storage.management.commands.migratestore import Bar
from hub.storage.tests.conftest import vector
from hub.testing import hubs, prepared

TABLES = ("storage_sample", "storage_minutesample", "storage_hoursample")

# Fills a store with two hours of three machines, one of which changed its layout,
# rolls up what has passed, and leaves a late sample unmended.
FILL = """
import django, time
django.setup()
from datetime import UTC, datetime, timedelta
import numpy as np
from django.contrib.auth.models import Group, User
from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.layouts import SeriesInfo
from hub.storage.rollup import roll_up
from hub.storage.sample import StoredSample
from hub.machines.models import Sight, Tag
from hub.people import second
ada = User.objects.create_user("ada", password="a password")
ada.groups.add(Group.objects.get(name="operator"))
shop = Tag.objects.create(name="shop")
Sight.objects.create(user=ada).tags.add(shop)
Sight.objects.create(group=Group.objects.get(name="viewer")).tags.add(shop)
second.new_recovery_codes(ada)
known = [layouts.learn([SeriesInfo(n, "1", "gauge", "", (("k", "v"),)) for n in names])
         for names in ("abc", "bd")]
end = int(time.time()) * 1000
for number in range(3):
    machine = Machine.objects.create(machine_id=f"web-{number}", name=f"Web {number}")
    machine.tags.set([shop] if number else [])
    batch = []
    for n in range(1440):
        layout = known[number == 2 and n > 700]
        at = end - (1440 - n) * 5000
        values = np.full(len(layout.series), n + number / 4, "<f4").tobytes()
        batch.append(StoredSample(machine.pk, layout.id, n + 1, at, at + 40, values))
    raw.write([raw.Incoming(s, b"e" * 16) for s in batch])
roll_up(datetime.now(UTC))
late = StoredSample(machine.pk, known[1].id, 1441, end - 3000_000, end, b"\\0" * 8)
raw.write([raw.Incoming(late, b"e" * 16)])
"""


def python(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        env=hubs.environment(LOG_LEVEL="ERROR", **env),
        cwd=hubs.ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    prepared.database(folder, hubs.environment(), hubs.ROOT)
    made = python(
        "-c", FILL, DATA_DIR=str(folder), DJANGO_SETTINGS_MODULE="hub.settings"
    )
    assert made.returncode == 0, made.stderr
    return folder / "sysmonstm.sqlite3"


@pytest.fixture
def target(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An empty, migrated store of its own."""
    env = {"DATA_DIR": str(tmp_path / "data")}
    with prepared.postgres(hubs.environment(**env), hubs.ROOT) as own:
        yield env | {"TIMESCALE_URL": own}


def migrate(
    old: Path, env: dict[str, str], *more: str
) -> subprocess.CompletedProcess[str]:
    return python("manage.py", "migratestore", str(old), "--skip-checks", *more, **env)


def there(old: Path) -> dict[str, list[Any]]:
    """Return what the old store holds, in terms that both can tell."""
    with sqlite3.connect(old) as store:
        found: dict[str, list[Any]] = {}
        for table in TABLES:
            values = '"values"' if table == "storage_sample" else "avg"
            rows = store.execute(
                f"SELECT m.machine_id, t.time, hex(t.{values}) FROM {table} t"
                " JOIN machines_machine m ON m.id = t.machine_id"
            )
            found[table] = sorted((m, t[:23], v) for m, t, v in rows)
    return found


def here(env: dict[str, str]) -> dict[str, list[Any]]:
    with psycopg.connect(env["TIMESCALE_URL"]) as store:
        found: dict[str, list[Any]] = {}
        for table in TABLES:
            is_raw = table == "storage_sample"
            rows = store.execute(
                "SELECT m.machine_id, t.time AT TIME ZONE 'UTC',"
                f" t.{'values' if is_raw else 'avg'}"
                f" FROM {table} t JOIN machines_machine m ON m.id = t.machine_id"
            )
            found[table] = sorted(
                (m, str(t)[:23], (v if is_raw else vector(*v)).hex().upper())
                for m, t, v in rows
            )
    return found


def ask(env: dict[str, str], query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(env["TIMESCALE_URL"]) as store:
        return store.execute(query).fetchall()


@pytest.mark.process
@pytest.mark.lasts
def test_everything_arrives_once_although_the_copy_is_killed(
    old: Path, target: dict[str, str]
) -> None:
    argv = [sys.executable, "manage.py", "migratestore", str(old), "--skip-checks"]
    kills = 0
    for rows_so_far in (1, 1000, 3000):
        copying = subprocess.Popen(
            [*argv, "--batch", "50"],
            env=hubs.environment(LOG_LEVEL="ERROR", **target),
            cwd=hubs.ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while copying.poll() is None:
            [(count,)] = ask(target, "SELECT count(*) FROM storage_sample")
            if isinstance(count, int) and count >= rows_so_far:
                copying.send_signal(signal.SIGKILL)
                break
        kills += copying.wait(30) == -signal.SIGKILL
    assert kills >= 2

    done = migrate(old, target, "--people")

    assert done.returncode == 0, done.stderr
    assert "1 accounts copied." in done.stdout
    assert "storage_sample" in done.stderr
    assert "rows/s" in done.stderr
    assert here(target) == there(old)
    [(sequence,)] = ask(target, "SELECT DISTINCT sequence FROM storage_cursor LIMIT 1")
    assert sequence in (1440, 1441)
    assert ask(target, "SELECT name FROM machines_machine ORDER BY 1") == [
        ("Web 0",),
        ("Web 1",),
        ("Web 2",),
    ]
    tagged = (
        "SELECT m.name, t.name FROM machines_machine_tags x"
        " JOIN machines_machine m ON m.id = x.machine_id"
        " JOIN machines_tag t ON t.id = x.tag_id ORDER BY 1"
    )
    assert ask(target, tagged) == [("Web 1", "shop"), ("Web 2", "shop")]
    # What limits somebody has come with them.
    limits = (
        "SELECT u.username, g.name, t.name FROM machines_sight s"
        " JOIN machines_sight_tags x ON x.sight_id = s.id"
        " JOIN machines_tag t ON t.id = x.tag_id"
        " LEFT JOIN auth_user u ON u.id = s.user_id"
        " LEFT JOIN auth_group g ON g.id = s.group_id ORDER BY 1"
    )
    assert ask(target, limits) == [("ada", None, "shop"), (None, "viewer", "shop")]
    [(role,)] = ask(
        target,
        "SELECT g.name FROM auth_user_groups u JOIN auth_group g ON g.id = u.group_id",
    )
    assert role == "operator"
    assert ask(target, "SELECT type FROM mfa_authenticator") == [("recovery_codes",)]
    # Once more: nothing changes.
    assert migrate(old, target).returncode == 0
    assert migrate(old, target, "--again").returncode == 0
    assert here(target) == there(old)


@pytest.mark.process
def test_the_roll_up_goes_on_where_the_other_stopped(
    old: Path, target: dict[str, str]
) -> None:
    roll = (
        "import django; django.setup(); from hub.storage.rollup import roll_up;"
        "from datetime import UTC, datetime; print(roll_up(datetime.now(UTC)))"
    )
    settings = {"DJANGO_SETTINGS_MODULE": "hub.settings"}
    # This store has run on its own for a while: it knows nothing of the machines.
    python("-c", roll, **settings, **target)

    assert migrate(old, target).returncode == 0
    rolled = python("-c", roll, **settings, **target)

    assert rolled.returncode == 0, rolled.stderr
    wanted = ask(
        target,
        "SELECT count(DISTINCT (machine_id, date_trunc('minute', time), layout_id))"
        " FROM storage_sample WHERE time < (SELECT until FROM storage_watermark"
        " WHERE tier = 'minute')",
    )
    assert ask(target, "SELECT count(*) FROM storage_minutesample") == wanted
    counted = (
        "SELECT sum((SELECT max(c) FROM unnest(count) c)) FROM {} WHERE time <"
        " (SELECT until FROM storage_watermark WHERE tier = 'hour')"
    )
    minutes = ask(target, counted.format("storage_minutesample"))
    assert ask(target, counted.format("storage_hoursample")) == minutes
    assert ask(target, "SELECT count(*) FROM storage_late") == [(0,)]


@pytest.mark.process
def test_it_refuses_with_sentences(
    old: Path, target: dict[str, str], tmp_path: Path
) -> None:
    nonsense = tmp_path / "nonsense.sqlite3"
    nonsense.write_text("no database at all, but long enough to look at" * 20)
    copy = tmp_path / "held" / "sysmonstm.sqlite3"
    copy.parent.mkdir()
    shutil.copy(old, copy)
    lock = os.open(copy.parent / "hub.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)

    said = {
        "missing": migrate(tmp_path / "nothing", target).stderr,
        "nonsense": migrate(nonsense, target).stderr,
        "held": migrate(copy, target).stderr,
        "sqlite": migrate(old, {"DATA_DIR": str(tmp_path / "other")}).stderr,
    }
    os.close(lock)

    assert "There is no file" in said["missing"]
    assert "is not a hub's SQLite file" in said["nonsense"]
    assert "A hub runs on" in said["held"]
    assert "set TIMESCALE_URL" in said["sqlite"]
    assert not [text for text in said.values() if "Traceback" in text]


def test_the_bar_says_how_far_how_fast_and_how_long() -> None:
    seconds, said = iter([0.0, 1.0, 2.0, 10.0]), []
    bar = Bar(
        lambda text, ending: said.append(text + ending),
        is_terminal=False,
        clock=lambda: next(seconds),
    )

    bar("raw", 100, 500)
    bar("raw", 200, 500)
    bar("raw", 300, 500)
    bar("raw", 500, 500)

    assert len(said) == 2
    assert "20%  100 of 500" in said[0]
    assert "100%  500 of 500  40 rows/s  0:00:00 left" in said[1]
