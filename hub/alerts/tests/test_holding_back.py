"""What a silence or a maintenance holds back, and what is told after it."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from django.contrib.auth.models import User

from hub.alerts.models import Happening, Maintenance, Silence
from hub.alerts.muting import Muting, silence_alert
from hub.alerts.tests.office import (
    NOON,
    Office,
    contact,
    route,
    told,
)

pytestmark = pytest.mark.django_db


SILENCED = "Silenced until 2026-03-01 13:00 UTC by boss: known"


def test_a_silence_holds_back_and_tells_what_still_fires_after_it(
    office: Office,
) -> None:
    route("all", contact())
    boss = User.objects.create(username="boss")
    alert, other = office.open(), office.open("db-2")
    until = NOON + timedelta(hours=1)
    silence_alert(alert, until=until, reason="known", by=boss, now=NOON)

    assert Muting(NOON).why(alert) == SILENCED
    assert Muting(NOON).why(other) is None
    assert len(office.until(3000)) == 1
    assert Happening.objects.get(alert=alert).state == Happening.State.MUTED
    [parcel] = office.until(1200)

    assert "db-1" in parcel.title
    assert told(alert) == [("ops", "opened")]
    # Noted once, however often it was looked at.
    [chapter] = alert.chapters.all()
    assert (chapter.what, chapter.said) == ("muted", SILENCED)


def test_what_ends_within_its_silence_is_told_to_nobody(office: Office) -> None:
    route("all", contact())
    alert = office.open()
    Silence.objects.create(
        starts_at=NOON, until=NOON + timedelta(hours=1), reason="known"
    )
    office.run()
    office.resolve(alert)

    assert office.until(2 * 3600) == []
    assert Happening.objects.filter(state="done").count() == 2


def test_a_silence_of_one_series_leaves_the_others_alone(office: Office) -> None:
    boss = User.objects.create(username="boss")
    odd = office.open(attributes={"mountpoint": "/data[*]"})
    other = office.open(attributes={"mountpoint": "/data*"})
    silence_alert(
        odd, until=NOON + timedelta(hours=1), reason="known", by=boss, now=NOON
    )

    assert Muting(NOON).why(odd) is not None
    assert Muting(NOON).why(other) is None


def test_maintenance_holds_back_what_it_covers(office: Office) -> None:
    route("all", contact())
    window = Maintenance.objects.create(
        name="Patching", kind="daily", start=time(12), length=timedelta(hours=1)
    )
    alert, other = office.open("db-1"), office.open("web-1")
    assert alert.machine is not None
    window.machines.add(alert.machine)

    assert Muting(NOON).why(alert) == "Maintenance: Patching"
    office.until(3000)
    assert told(alert) == []
    assert told(other) == [("ops", "opened")]
    office.until(1200)
    assert told(alert) == [("ops", "opened")]


def test_maintenance_of_nothing_covers_nothing(office: Office) -> None:
    Maintenance.objects.create(
        name="Patching", kind="once", starts_at=NOON, length=timedelta(hours=1)
    )

    assert Muting(NOON).why(office.open()) is None
