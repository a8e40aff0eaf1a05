from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from hub.alerts import answers
from hub.alerts.models import Alert, Chapter, Happening, Rule, Silence
from hub.alerts.muting import Muting
from hub.events.bus import get_bus
from hub.events.event import ALERTS_CHANGED, Event
from hub.machines.models import Machine

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def alert() -> Alert:
    rule = Rule.objects.create(name="Disk", metric="system.filesystem.utilization")
    return made(rule, Machine.objects.create(machine_id="web[1]*"), "/data")


def made(rule: Rule, machine: Machine, mount: str) -> Alert:
    return Alert.objects.create(
        rule=rule,
        snapshot=rule.snapshot(),
        machine=machine,
        machine_title=machine.title,
        metric=rule.metric,
        attributes={"system.filesystem.mountpoint": mount},
        series_key=mount,
        severity="critical",
        peak_severity="critical",
        opened_at=timezone.now(),
        changed_at=timezone.now(),
    )


def told(alert: Alert) -> list[str]:
    found = Happening.objects.filter(alert=alert).order_by("pk")
    return list(found.values_list("what", flat=True))


def test_who_acknowledges_first_stays_and_others_may_add_a_note(
    alert: Alert, ada: User
) -> None:
    answers.acknowledge(alert, by=ada)
    answers.acknowledge(alert, by=User.objects.create_user("bob"), note="disk ordered")

    assert alert.acknowledged_by == ada
    assert alert.acknowledged_note == "disk ordered"
    assert told(alert) == ["acknowledged"]


def test_an_acknowledgement_can_be_taken_back_and_made_again(
    alert: Alert, ada: User
) -> None:
    answers.acknowledge(alert, by=ada, note="mine")
    answers.take_back(alert, by=ada)

    assert (alert.acknowledged_at, alert.acknowledged_note) == (None, "")
    assert told(alert) == []

    answers.acknowledge(alert, by=ada)
    assert told(alert) == ["acknowledged"]


async def test_pages_hear_of_an_answer(alert: Alert, ada: User) -> None:
    from asgiref.sync import sync_to_async

    async with get_bus().subscribe(ALERTS_CHANGED) as events:
        await sync_to_async(answers.acknowledge)(alert, by=ada)
        event: Event = await anext(events)

    said = orjson.loads(event.payload)
    assert (said["alert"], said["machine"]) == (alert.pk, "web[1]*")


def test_a_silence_is_of_this_series_alone(alert: Alert, ada: User) -> None:
    assert alert.rule
    assert alert.machine
    other = made(alert.rule, alert.machine, "/")
    namesake = made(alert.rule, Machine.objects.create(machine_id="web1"), "/data")

    answers.silence(alert, by=ada, length=timedelta(hours=1))

    muting = Muting()
    assert "Silenced until" in (muting.why(alert) or "")
    assert muting.why(other) is None
    assert muting.why(namesake) is None
    later = Muting(timezone.now() + timedelta(minutes=61))
    assert later.why(alert) is None


def test_a_silence_until_resolved_ends_with_its_alert(alert: Alert, ada: User) -> None:
    answers.silence(alert, by=ada, length=None)
    years = timezone.now() + timedelta(days=3650)
    assert "until it is resolved" in (Muting(years).why(alert) or "")

    alert.state = Alert.Status.RESOLVED
    alert.save()
    again = made(alert.rule, alert.machine, "/data")  # type: ignore[arg-type]

    assert Muting().why(again) is None


def test_an_hour_of_silence_covers_the_next_opening_too(
    alert: Alert, ada: User
) -> None:
    answers.silence(alert, by=ada, length=timedelta(hours=1))
    alert.state = Alert.Status.RESOLVED
    alert.save()

    again = made(alert.rule, alert.machine, "/data")  # type: ignore[arg-type]

    assert Muting().why(again)


def test_lifting_ends_what_was_made_here_and_nothing_else(
    alert: Alert, ada: User
) -> None:
    until = timezone.now() + timedelta(days=1)
    broad = Silence.objects.create(machine="*", until=until, reason="moving house")
    answers.silence(alert, by=ada, length=timedelta(hours=8))
    answers.silence(alert, by=ada, length=None)

    assert answers.lift(alert, by=ada) == 2

    broad.refresh_from_db()
    assert broad.until == until
    assert "moving house" in (Muting().why(alert) or "")


def test_the_story_says_who_did_what(alert: Alert, ada: User) -> None:
    bob = User.objects.create_user("bob")
    answers.acknowledge(alert, by=ada)
    answers.acknowledge(alert, by=bob)
    answers.acknowledge(alert, by=bob, note="disk ordered")
    answers.take_back(alert, by=bob)
    answers.take_back(alert, by=bob)
    answers.silence(alert, by=ada, length=None)
    answers.lift(alert, by=bob)
    answers.lift(alert, by=bob)
    ada.delete()

    told = list(Chapter.objects.values_list("what", "by_name", "said"))
    assert told == [
        ("acknowledged", "ada", ""),
        ("noted", "bob", "disk ordered"),
        ("taken_back", "bob", ""),
        ("silenced", "ada", "until it is resolved"),
        ("lifted", "bob", ""),
    ]
