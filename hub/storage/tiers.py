"""The tiers: how fine a row is, how long it is kept, how far it has come.

raw → minute → hour. Each has one row in the table of watermarks:

    since     older rows have expired                              (expire.py)
    closing   an earlier sample that is stored now comes late       (late.py)
    until     older rows of the finer tier are in this one       (rollup.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection

from hub.storage.models import HourSample, MinuteSample, Sample, Watermark

# All writers of samples share this lock while they write; see `shut_writers_out`.
WRITERS_LOCK = 7_318_504
# Writers wait meanwhile. When it takes longer, the next run tries again.
SHUT_WITHIN_MS = 1_000


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier."""

    name: str
    table: str
    # The stretch that a row stands for; raw rows stand for a moment.
    width: timedelta
    # Rows expire up to a multiple of this, so that what is made of them is whole.
    grain: timedelta

    @property
    def retention(self) -> timedelta:
        kept: timedelta = getattr(settings, f"{self.name.upper()}_RETENTION")
        return kept

    @property
    def width_ms(self) -> int:
        return self.width // timedelta(milliseconds=1)


_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
RAW = Tier("raw", Sample._meta.db_table, timedelta(0), _MINUTE)
MINUTE = Tier("minute", MinuteSample._meta.db_table, _MINUTE, _HOUR)
HOUR = Tier("hour", HourSample._meta.db_table, _HOUR, timedelta(days=1))
TIERS = (RAW, MINUTE, HOUR)
FINER = {MINUTE: RAW, HOUR: MINUTE}


def watermarks() -> Mapping[str, Watermark]:
    """Return every tier's watermark, stored or not."""
    stored = {mark.tier: mark for mark in Watermark.objects.all()}
    return {t.name: stored.get(t.name, Watermark(tier=t.name)) for t in TIERS}


def hold(tier: Tier) -> Watermark | None:
    """Lock a tier for this transaction; None when somebody else works on it.

    Also None before the first roll-up, which makes the watermarks.
    """
    return (
        Watermark.objects.select_for_update(skip_locked=True)
        .filter(tier=tier.name)
        .first()
    )


def shut_writers_out() -> None:
    """Wait until samples under way are committed, and keep others waiting.

    Until this transaction ends; keep it short. Raises OperationalError when a
    writer takes too long. SQLite has one writer anyway, which is this one.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {SHUT_WITHIN_MS}")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITERS_LOCK])


def floor(moment: datetime, grain: timedelta) -> datetime:
    """Return the last multiple of `grain` that is not after a moment."""
    return moment - (moment - _EPOCH) % grain


def to_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
