from __future__ import annotations

import threading
import uuid
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection, connections
from pytest_django import Settings

from hub.alerts.delivery import LEASE, Claim, claim, deliver, settle
from hub.alerts.models import Attempt, Delivery
from hub.alerts.parcel import Outcome, Parcel, Result
from hub.alerts.tests.office import FAILED, NOON, SENT, Office, contact, route, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def office() -> Office:
    office = Office()
    route("all", contact(), group_wait_s=0)
    return office


def ledger() -> list[tuple[int, str, str]]:
    return [(one.number, one.result, one.said) for one in Attempt.objects.all()]


def test_the_ledger_keeps_every_attempt_and_when_the_next_one_is(
    office: Office,
) -> None:
    office.answer = lambda parcel: FAILED
    alert = office.open()
    office.run()
    first = Attempt.objects.get()
    assert first.next_try_at is not None
    assert 11 <= (first.next_try_at - NOON).total_seconds() <= 19

    office.answer = lambda parcel: SENT
    office.run(20)

    assert ledger() == [(1, "failed", "not taken"), (2, "sent", "taken")]
    assert told(alert) == [("ops", "opened")]


def test_the_pauses_grow_up_to_half_an_hour(office: Office) -> None:
    office.answer = lambda parcel: FAILED
    office.open()
    office.until(6 * 3600, every=15)

    moments = list(Attempt.objects.values_list("started_at", flat=True))
    pauses = [(after - before).total_seconds() for before, after in pairwise(moments)]
    assert pauses[0] < 31
    assert pauses[3] > 80
    assert max(pauses) <= 1800 * 1.25 + 15
    assert 13 < len(moments) < 30


def test_after_a_day_it_is_dead_and_says_so(office: Office) -> None:
    office.answer = lambda parcel: FAILED
    office.open()
    office.until(26 * 3600, every=300)

    delivery = Delivery.objects.get()
    assert delivery.state == Delivery.State.DEAD
    last = delivery.attempts.latest("number")
    assert last.next_try_at is None
    assert timedelta(days=1) <= last.started_at - NOON < timedelta(days=1, hours=1)


def test_every_attempt_has_the_same_key(office: Office) -> None:
    keys: list[str] = []

    def fail(parcel: Parcel) -> Outcome:
        keys.append(parcel.key)
        return FAILED

    office.answer = fail
    office.open()
    office.until(120, every=5)

    assert len(keys) >= 3
    assert len(set(keys)) == 1


def test_what_a_dead_sender_left_is_sent_again_under_the_same_key(
    office: Office,
) -> None:
    alert = office.open()
    office.answer = lambda parcel: FAILED
    office.run()
    office.answer = lambda parcel: SENT
    office.now += timedelta(seconds=20)
    [lost] = claim(office.now, limit=5)

    # While the lease lasts nobody else has it.
    assert office.run(LEASE.total_seconds() - 1) == []
    [parcel] = office.run(2)

    assert parcel.key == str(Delivery.objects.get(pk=lost.delivery).key)
    assert [result for _, result, _ in ledger()] == ["failed", "lost", "sent"]
    assert told(alert) == [("ops", "opened")]


def test_who_comes_back_too_late_spoils_nothing(office: Office) -> None:
    office.open()
    deliver_nothing(office)
    [slow] = claim(office.now, limit=5)
    office.now += LEASE + timedelta(seconds=1)
    [quick] = claim(office.now, limit=5)

    settle(slow, FAILED, office.now)
    assert Delivery.objects.get().state == Delivery.State.SENDING
    settle(quick, SENT, office.now)
    settle(slow, FAILED, office.now)

    assert Delivery.objects.get().state == Delivery.State.SENT


def test_late_success_stops_a_third_message(office: Office) -> None:
    office.open()
    deliver_nothing(office)
    [slow] = claim(office.now, limit=5)
    office.now += LEASE + timedelta(seconds=1)
    [quick] = claim(office.now, limit=5)
    settle(quick, FAILED, office.now)
    settle(slow, SENT, office.now)

    assert office.until(3600) == []
    assert Delivery.objects.get().state == Delivery.State.SENT


def deliver_nothing(office: Office) -> None:
    """Plan, and leave the message to be claimed."""
    deliver(clock=office.clock, carry=office.carry, run_s=0)
    from hub.alerts.planning import plan

    plan(office.now)


def test_a_contact_that_is_switched_off_is_spared(office: Office) -> None:
    office.open()
    deliver_nothing(office)
    Delivery.objects.get().contact.__class__.objects.update(enabled=False)

    assert office.run() == []
    assert Delivery.objects.get().state == Delivery.State.DROPPED
    assert ledger() == [(1, "refused", "The contact is switched off.")]


def test_a_lost_key_is_said_and_not_tried_for_nothing(
    office: Office, settings: Settings
) -> None:
    office.open()
    settings.NOTIFY_KEY = "another one"

    assert office.run() == []
    [(_, result, said)] = ledger()
    assert result == "refused"
    assert "sealed with another key" in said


def test_one_contact_that_fails_holds_up_no_other(office: Office) -> None:
    route("more", contact("second"), group_wait_s=0)
    office.answer = lambda parcel: FAILED if "//ops." in parcel.address else SENT
    office.open()

    [parcel] = office.run()

    assert parcel.address == "https://second.example/hook"


def test_secrets_never_reach_the_ledger(office: Office) -> None:
    office.answer = lambda parcel: Outcome(Result.FAILED, "x" * 900, 500)
    office.open()
    office.run()

    assert len(Attempt.objects.get().said) == 500


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", [4])
def test_workers_at_the_same_time_send_each_message_once(workers: int) -> None:
    heard: Counter[str] = Counter()
    lock = threading.Lock()

    def carry(parcel: Parcel) -> Outcome:
        with lock:
            heard[parcel.address] += 1
        return SENT

    office = Office()
    for number in range(12):
        route(f"r{number}", contact(f"c{number}"), group_wait_s=0)
    for number in range(5):
        office.open(f"web-{number}")
    start = threading.Barrier(workers)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            start.wait()
            for _ in range(5):
                deliver(clock=office.clock, carry=carry)
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert heard == {f"https://c{number}.example/hook": 1 for number in range(12)}
    assert Attempt.objects.count() == Delivery.objects.count() == 12


def test_two_that_read_the_same_row_cannot_both_take_it(office: Office) -> None:
    from hub.alerts.delivery import _take

    office.open()
    deliver_nothing(office)
    read_twice = [Delivery.objects.get(), Delivery.objects.get()]

    taken = [_take(delivery, office.now) for delivery in read_twice]

    assert [one is None for one in taken] == [False, True]
    assert connection.vendor in ("sqlite", "postgresql")


def test_a_claim_of_nobody_changes_nothing(office: Office) -> None:
    office.open()
    deliver_nothing(office)
    row = Delivery.objects.get()

    settle(Claim(row.pk, uuid.uuid4(), 0, 1, NOON), FAILED, NOON)

    assert Delivery.objects.get().state == Delivery.State.WAITING
