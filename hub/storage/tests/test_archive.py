from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from math import nan
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from hub.machines.models import Machine
from hub.storage import archive, archive_file, layouts, raw, tasks
from hub.storage import expire as expiring
from hub.storage.archive import ArchiveFailed
from hub.storage.expire import expire
from hub.storage.layouts import LayoutInfo
from hub.storage.models import HourSample, Watermark
from hub.storage.rollup import roll_up
from hub.storage.tests import naive
from hub.storage.tests.conftest import arriving, sample, series
from hub.storage.tiers import HOUR, MINUTE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST_DAY = date(2026, 3, 1)
DAY = timedelta(days=1)
HOUR_S = 3600


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Days end where they end, and not with a chunk of a week.
    monkeypatch.setattr(expiring, "is_hypertable", lambda tier: False)
    settings.ARCHIVE_URL = str(tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture
def three_days(machine: Machine, layout: LayoutInfo) -> Machine:
    """A sample an hour from noon of the first of March on."""
    other = Machine.objects.create(machine_id="db-1")
    disk = layouts.learn([series("disk", "By", device="sda"), series("cpu")])
    raw.write(
        arriving(
            [
                sample(machine.pk, layout.id, n, n, nan, at_s=n * HOUR_S)
                for n in range(1, 60)
            ]
            + [
                sample(other.pk, disk.id, n, n, -n, at_s=n * HOUR_S)
                for n in range(1, 60)
            ]
        )
    )
    roll_up(NOON + 3 * DAY)
    return machine


def later(days: float) -> datetime:
    """Return when the hours of the first so many days have expired."""
    now = datetime(2026, 3, 1, tzinfo=UTC) + days * DAY + configured.HOUR_RETENTION
    expire(MINUTE, now)
    return now


def test_hours_that_expire_are_kept_as_plain_rows(
    three_days: Machine, folder: Path
) -> None:
    before = HourSample.objects.count()

    gone = expire(HOUR, later(1))

    file = folder / "2026" / "2026-03-01.parquet"
    assert list(folder.rglob("*.*")) == [file]
    rows = pq.read_table(file).to_pylist()
    assert gone == 22
    assert HourSample.objects.count() == before - gone
    assert len(rows) == 33
    assert [row for row in rows if row["machine"] == "db-1"][2:4] == [
        {
            "time": datetime(2026, 3, 1, 14, tzinfo=UTC),
            "machine": "db-1",
            "metric": "disk",
            "attributes": json.dumps({"device": "sda"}),
            "unit": "By",
            "count": 1,
            "min": 2.0,
            "avg": 2.0,
            "max": 2.0,
        },
        {
            "time": datetime(2026, 3, 1, 14, tzinfo=UTC),
            "machine": "db-1",
            "metric": "cpu",
            "attributes": "{}",
            "unit": "1",
            "count": 1,
            "min": -2.0,
            "avg": -2.0,
            "max": -2.0,
        },
    ]


def test_what_cannot_be_kept_is_not_deleted_and_says_why(
    three_days: Machine, folder: Path
) -> None:
    folder.write_text("not a folder")
    before, now = HourSample.objects.count(), later(2)

    with pytest.raises(ArchiveFailed):
        expire(HOUR, now)

    assert HourSample.objects.count() == before
    assert Watermark.objects.get(pk="hour").trouble
    folder.unlink()
    expire(HOUR, now)
    assert Watermark.objects.get(pk="hour").trouble == ""
    assert HourSample.objects.count() < before


def test_the_task_goes_on_when_the_archive_fails(
    three_days: Machine, folder: Path
) -> None:
    folder.write_text("not a folder")
    before = HourSample.objects.count()

    tasks.expire_tiers()

    assert HourSample.objects.count() == before


def test_a_file_that_does_not_read_as_written_stops_the_deletion(
    three_days: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = HourSample.objects.count(), later(2)
    monkeypatch.setattr(
        archive_file, "read_back", lambda *_: archive_file.Content(0, 0)
    )

    with pytest.raises(ArchiveFailed, match="does not read as it was written"):
        expire(HOUR, now)

    assert HourSample.objects.count() == before


def test_archiving_again_gives_the_same_file(three_days: Machine, folder: Path) -> None:
    later(3)
    end = datetime(2026, 3, 3, tzinfo=UTC)

    kept = [archive.keep(end), archive.keep(end)]

    assert kept == [2, 2]
    assert len(list(folder.rglob("*"))) == 3


def test_a_file_is_never_replaced_by_a_smaller_one(three_days: Machine) -> None:
    later(3)
    end = datetime(2026, 3, 3, tzinfo=UTC)
    archive.keep(end)
    HourSample.objects.filter(machine=three_days.pk).delete()

    with pytest.raises(ArchiveFailed, match="Move it away"):
        archive.keep(end)


def test_what_is_restored_is_what_was_there(three_days: Machine, folder: Path) -> None:
    before = naive.stored(HOUR)
    now = later(3)
    expire(HOUR, now)
    assert naive.stored(HOUR) != before
    layouts.forget_all()

    call_command("archive", "restore", "2026-03-01", "2026-03-04", stdout=StringIO())

    def plain(found: dict[naive.Key, naive.Figures]) -> dict[object, naive.Figures]:
        return {
            (m, at, metric): figures for (m, at, _, metric), figures in found.items()
        }

    assert plain(naive.stored(HOUR)) == plain(before)
    assert Watermark.objects.get(pk="hour").since == datetime(2026, 3, 1, tzinfo=UTC)
    # Held for a while, then it goes again, and the files stay.
    files = {file: pq.read_table(file) for file in folder.rglob("*.parquet")}
    assert expire(HOUR, datetime.now(UTC)) == 0
    assert expire(HOUR, datetime.now(UTC) + 400 * DAY) > 0
    for file, rows in files.items():
        assert _sorted(pq.read_table(file)) == _sorted(rows)


def _sorted(table: Any) -> list[Any]:
    return sorted(tuple(row.values()) for row in table.to_pylist())


def test_a_metric_that_is_known_stays_as_it_is_described(
    three_days: Machine,
) -> None:
    expire(HOUR, later(2))
    described = layouts.SeriesInfo("cpu", "1", "counter", "What it is.")
    layouts.learn([described])

    archive.restore(FIRST_DAY, FIRST_DAY, until=NOON + 500 * DAY)

    layouts.forget_all()
    known = {s.metric: s for s in layouts.get(layouts.learn([described]).id).series}
    assert known["cpu"].help == "What it is."
    assert HourSample.objects.filter(time__lt=NOON + DAY / 2).count() == 22


def test_the_command_lists_what_there_is(three_days: Machine) -> None:
    expire(HOUR, later(2))

    call_command("archive", "list", stdout=(said := StringIO()))

    assert [line[:10] for line in said.getvalue().splitlines()] == [
        "2026-03-01",
        "2026-03-02",
        "2 days.",
    ]


def test_the_command_refuses_with_sentences(
    three_days: Machine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match="has nothing from 2026-03-01"):
        call_command("archive", "restore", "2026-03-01", "2026-03-01")
    with pytest.raises(CommandError, match="FROM must not be later"):
        call_command("archive", "restore", "2026-03-02", "2026-03-01")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow.fs", None)
        with pytest.raises(CommandError, match="pyarrow is not installed"):
            call_command("archive", "list")
    settings.ARCHIVE_URL = ""
    with pytest.raises(CommandError, match="ARCHIVE_URL is not set"):
        call_command("archive", "list")


def test_without_an_archive_hours_are_deleted(
    three_days: Machine, settings: Settings
) -> None:
    settings.ARCHIVE_URL = ""

    assert expire(HOUR, later(1)) == 22
