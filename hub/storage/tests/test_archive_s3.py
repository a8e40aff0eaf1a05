"""The archive in a bucket, over the wire that S3 speaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from pyarrow import fs  # type: ignore[import-untyped]
from pytest_django.fixtures import Settings

from hub.machines.models import Machine
from hub.storage import archive, raw
from hub.storage import expire as expiring
from hub.storage.archive import Archive, ArchiveFailed
from hub.storage.expire import expire
from hub.storage.layouts import LayoutInfo
from hub.storage.models import HourSample, Watermark
from hub.storage.rollup import roll_up
from hub.storage.tests.conftest import arriving, sample
from hub.storage.tiers import HOUR, MINUTE
from hub.testing import s3
from hub.testing.processes import free_port
from hub.testing.s3 import Bucket

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with s3.bucket(tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture(autouse=True)
def _configured(
    bucket: Bucket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ARCHIVE_URL = bucket.url
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.secret)
    # A day ends where it ends, and not with a chunk of a week.
    monkeypatch.setattr(expiring, "is_hypertable", lambda tier: False)


@pytest.fixture
def now(machine: Machine, layout: LayoutInfo) -> datetime:
    """Return a moment when the first of two days with a sample has expired."""
    ticks = [
        sample(machine.pk, layout.id, n, n, 0.5, at_s=n * 3600) for n in range(1, 25)
    ]
    raw.write(arriving(ticks))
    roll_up(START + 3 * DAY)
    moment = START + DAY + configured.HOUR_RETENTION
    expire(MINUTE, moment)
    return moment


def hours() -> list[object]:
    return list(HourSample.objects.order_by("time").values_list("time", "avg"))


def test_a_bucket_takes_the_hours_that_expire_and_gives_them_back(
    now: datetime,
) -> None:
    before = [str(hour) for hour in hours()]

    assert expire(HOUR, now) == 11
    told = StringIO()
    call_command("archive", "list", stdout=told)
    assert told.getvalue().endswith("1 days.\n")
    assert len(hours()) == 13
    call_command("archive", "restore", "2026-03-01", "2026-03-01", stdout=StringIO())

    assert [str(hour) for hour in hours()] == before


@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_said_and_nothing_is_deleted(
    now: datetime, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv(wrong, "somebody-elses")

    with pytest.raises(ArchiveFailed, match="does not let the hub in: check AWS_"):
        expire(HOUR, now)

    assert len(hours()) == 24
    assert "check AWS_ACCESS_KEY_ID" in Watermark.objects.get(pk="hour").trouble


def test_while_the_bucket_is_away_nothing_is_deleted_and_later_it_is_kept(
    now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Asked once: by itself it is asked for twelve seconds.
    files = fs.S3FileSystem(
        endpoint_override=f"127.0.0.1:{free_port()}",
        scheme="http",
        region="us-east-1",
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )
    with monkeypatch.context() as away:
        away.setattr(archive, "open_archive", lambda: Archive(files, "hours/site"))
        with pytest.raises(ArchiveFailed, match="does not answer"):
            expire(HOUR, now)
    assert len(hours()) == 24

    assert expire(HOUR, now) == 11
    assert Watermark.objects.get(pk="hour").trouble == ""


def test_a_bucket_that_is_not_there_is_said(now: datetime, settings: Settings) -> None:
    settings.ARCHIVE_URL = settings.ARCHIVE_URL.replace("s3://hours", "s3://ours")

    with pytest.raises(ArchiveFailed, match="there is no such bucket"):
        expire(HOUR, now)

    assert len(hours()) == 24
