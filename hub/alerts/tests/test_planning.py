from __future__ import annotations

import json
from datetime import time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hub.alerts.models import Delivery, Happening, Notice, Silence
from hub.alerts.outbox import enqueue
from hub.alerts.parcel import Outcome, Parcel
from hub.alerts.planning import BATCH, plan
from hub.alerts.tests.office import (
    FAILED,
    NOON,
    SENT,
    Office,
    contact,
    route,
    told,
)
from hub.machines.models import Tag

pytestmark = pytest.mark.django_db


def test_without_any_route_every_contact_hears_everything(office: Office) -> None:
    contact("ops")
    contact("off", enabled=False)
    alert = office.open()

    assert office.run() == []
    [parcel] = office.run(30)

    assert parcel.title == (
        "[warning] Disk is nearly full on db-1 (mountpoint=/data): 93.1 %"
    )
    assert told(alert) == [("ops", "opened")]


def test_ten_machines_that_go_down_are_one_message(office: Office) -> None:
    route("all", contact())
    for number in range(10):
        office.open(f"web-{number}", rule="Machine is down")
        office.run(2)

    [parcel] = office.until(60, every=5)

    assert parcel.title == (
        "[warning] 10 alerts: Machine is down on web-0, web-1, web-2 and 7 more"
    )
    assert len(json.loads(parcel.payload)["alerts"]) == 10


def test_a_thousand_alerts_are_one_message_and_few_queries(office: Office) -> None:
    route("all", contact())
    office.open_many(1000)

    with CaptureQueriesContext(
        connection,
    ) as asked:
        office.run()
    [parcel] = office.run(30)

    assert Notice.objects.count() == 1000
    assert len(asked) < 100
    assert "and 980 more" in parcel.text
    payload = json.loads(parcel.payload)
    assert (len(payload["alerts"]), payload["more"]) == (500, 500)


def test_what_opens_and_ends_within_the_wait_is_one_message(office: Office) -> None:
    route("all", contact())
    alert = office.open()
    office.run(5)
    office.resolve(alert)

    [parcel] = office.until(60)

    assert parcel.title.startswith("[resolved] Disk is nearly full")
    assert told(alert) == [("ops", "opened"), ("ops", "resolved")]


def test_who_was_told_hears_that_it_is_over(office: Office) -> None:
    route("critical", contact("boss"), level="critical")
    route("all", contact("ops"))
    alert = office.open()
    office.run()
    office.run(30)

    office.resolve(alert)
    office.run()
    [parcel] = office.run(30)

    assert parcel.title.startswith("[resolved]")
    assert told(alert) == [("ops", "opened"), ("ops", "resolved")]


def test_a_route_may_keep_silent_about_the_end(office: Office) -> None:
    route("all", contact(), tell_resolved=False)
    alert = office.open()
    office.until(60)
    office.resolve(alert)

    assert office.until(120) == []


def test_a_warning_that_becomes_critical_reaches_who_only_hears_that(
    office: Office,
) -> None:
    route("critical", contact("boss"), level="critical")
    alert = office.open()
    assert office.until(60) == []

    office.worsen(alert)
    [parcel] = office.until(60)

    assert parcel.title.startswith("[critical]")
    assert told(alert) == [("boss", "escalated")]


def test_routes_choose_by_tag_rule_and_time_of_day(office: Office) -> None:
    tag = Tag.objects.create(name="database")
    database = route("databases", contact("dba"))
    database.tags.add(tag)
    route("office", contact("desk"), hours_from=time(8), hours_until=time(17))
    route("night", contact("night"), hours_from=time(17), hours_until=time(8))
    first, second = office.open("db-1"), office.open("web-1", rule="CPU is busy")
    assert first.machine is not None
    first.machine.tags.add(tag)
    assert first.rule is not None
    only = route("disks", contact("disks"))
    only.rules.add(first.rule)

    office.until(60)

    assert sorted(told(first)) == [
        ("dba", "opened"),
        ("desk", "opened"),
        ("disks", "opened"),
    ]
    assert told(second) == [("desk", "opened")]


def test_a_contact_of_two_routes_is_told_once(office: Office) -> None:
    ops = contact()
    route("first", ops, position=1)
    route("second", ops, position=2, tell_resolved=False)
    alert = office.open()

    assert len(office.until(90)) == 1
    assert Notice.objects.get(alert=alert).route is not None
    assert str(Notice.objects.get(alert=alert).route) == "first"


def test_what_nobody_is_to_hear_says_so(office: Office) -> None:
    route("critical", contact(), level="critical")
    office.open()
    office.run()

    assert Happening.objects.get().why == "No route leads to a contact."
    assert Delivery.objects.count() == 0


def test_a_happening_noted_twice_is_told_once(office: Office) -> None:
    route("all", contact())
    alert = office.open()
    enqueue(alert, "opened")
    office.until(60)
    enqueue(alert, "opened")

    assert office.until(60) == []
    assert len(office.sent) == 1


def test_reminders_come_until_somebody_acknowledges(office: Office) -> None:
    route("all", contact(), remind_every_s=3600, remind_times=5)
    alert = office.open()
    office.until(60)

    reminders = office.until(2 * 3600 + 600)
    office.acknowledge(alert)
    after = office.until(24 * 3600, every=600)

    assert [one.title.partition("]")[0] for one in reminders] == ["[still warning"] * 2
    assert after == []


def test_reminders_are_capped(office: Office) -> None:
    route("all", contact(), remind_every_s=3600, remind_times=3)
    office.open()

    assert len(office.until(24 * 3600, every=600)) == 1 + 3


def test_nothing_reminds_of_what_is_over(office: Office) -> None:
    route("all", contact(), remind_every_s=3600, tell_resolved=False)
    alert = office.open()
    office.until(60)
    office.resolve(alert)

    assert office.until(24 * 3600, every=600) == []


def test_a_second_contact_hears_of_what_nobody_acknowledged(office: Office) -> None:
    route("all", contact("ops"), escalate_after_s=900, escalate_to=[contact("boss")])
    alert = office.open()

    assert len(office.until(840)) == 1
    [parcel] = office.until(180)

    assert parcel.title.startswith("[not acknowledged, warning]")
    assert told(alert) == [("ops", "opened"), ("boss", "escalation")]


def test_what_got_worse_meanwhile_escalates_once(office: Office) -> None:
    ops, boss = contact("ops"), contact("boss")
    route(
        "all",
        ops,
        escalate_after_s=900,
        escalate_to=[boss],
        remind_every_s=1200,
        remind_times=1,
    )
    alert = office.open()
    office.until(60)
    office.worsen(alert)
    office.until(2 * 3600)

    assert told(alert) == [
        ("ops", "opened"),
        ("ops", "escalated"),
        ("boss", "escalation"),
        ("ops", "reminder"),
        ("boss", "reminder"),
    ]


@pytest.mark.parametrize("settled", ["acknowledge", "resolve"])
def test_nothing_escalates_once_it_is_settled(office: Office, settled: str) -> None:
    to = [contact("boss")]
    route("all", contact("ops"), escalate_after_s=900, escalate_to=to)
    alert = office.open()
    office.until(60)
    getattr(office, settled)(alert)
    office.until(3600)

    assert "boss" not in [name for name, _ in told(alert)]


def test_quiet_hours_hold_warnings_back_and_sum_them_up(office: Office) -> None:
    route("all", contact(quiet_from=time(22), quiet_until=time(7)))
    office.now = NOON + timedelta(hours=11)
    first = office.open("db-1")
    office.open("db-2")
    office.until(60)
    office.resolve(first)

    assert office.until(7 * 3600, every=600) == []
    [parcel] = office.until(3600, every=600)

    assert parcel.title.startswith("[warning] 2 alerts, 1 of them over")
    assert office.sent == [parcel]


def test_quiet_hours_hold_nothing_critical_back(office: Office) -> None:
    route("all", contact(quiet_from=time(22), quiet_until=time(7)))
    office.now = NOON + timedelta(hours=11)
    alert = office.open(severity="critical")

    assert len(office.until(60)) == 1
    office.resolve(alert)
    assert len(office.until(60)) == 1


def test_a_held_warning_that_becomes_critical_goes_out(office: Office) -> None:
    route("all", contact(quiet_from=time(22), quiet_until=time(7)))
    office.now = NOON + timedelta(hours=11)
    alert = office.open()
    office.until(60)
    office.worsen(alert)

    [parcel] = office.until(60)

    assert parcel.title.startswith("[critical]")


def test_nothing_to_do_asks_little_and_locks_nothing(office: Office) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert plan(NOON) == 0

    assert len(asked) == 3


def test_what_is_silenced_for_long_stands_in_nobodys_way(office: Office) -> None:
    route("all", contact())
    for machine, hours in (("db-*", 24 * 30), ("web-*", 1)):
        Silence.objects.create(
            machine=machine,
            starts_at=NOON,
            until=NOON + timedelta(hours=hours),
            reason="at work on it",
        )
    office.open_many(BATCH + 1)
    web = office.open("web-1")
    office.run(60)

    office.until(3700, every=600)

    assert told(web) == [("ops", "opened")]
    assert Notice.objects.count() == 1


def test_what_is_added_after_an_attempt_is_no_repeat_of_it(office: Office) -> None:
    """A receiver may have taken the first: the same key would hide the second."""
    route("all", contact())
    seen: list[tuple[str, list[str]]] = []

    def answer(parcel: Parcel) -> Outcome:
        alerts = json.loads(parcel.payload)["alerts"]
        seen.append((parcel.key, [one["machine"]["id"] for one in alerts]))
        return FAILED if len(seen) < 3 else SENT

    office.answer = answer
    office.open("db-1")
    office.run()
    office.run(30)
    office.run(30)
    office.open("db-2")
    office.until(120, every=5)

    machines = [machines for _, machines in seen]
    assert machines == [["db-1"], ["db-1"], ["db-1", "db-2"]]
    keys = [key for key, _ in seen]
    assert keys[0] == keys[1] != keys[2]


def test_what_joins_a_message_that_fails_has_time_of_its_own(office: Office) -> None:
    route("all", contact(), remind_every_s=None)
    office.answer = lambda parcel: FAILED
    office.open("db-1")
    office.until(23.9 * 3600, every=1800)
    office.open("db-2")
    office.until(3600, every=600)

    office.answer = lambda parcel: SENT
    office.until(3600, every=600)

    assert [one.state for one in Delivery.objects.order_by("pk")] == ["dead", "sent"]
    [parcel] = office.sent
    assert [one["machine"]["id"] for one in json.loads(parcel.payload)["alerts"]] == [
        "db-2"
    ]
