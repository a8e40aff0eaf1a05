from __future__ import annotations

from datetime import timedelta

import pytest

from hub.alerts.delivery import revive
from hub.alerts.models import Delivery
from hub.alerts.postbox import dead, post
from hub.alerts.tests.office import FAILED, Office, contact

pytestmark = pytest.mark.django_db


def test_a_quiet_box_is_well() -> None:
    office = Office()
    contact()
    office.open()
    office.until(60)

    found = post(office.now)

    assert (found.waiting, found.dead, found.sent, found.failed) == (0, 0, 1, 0)
    assert found.stuck_since is None
    assert found.trouble == ""


def test_what_nobody_plans_is_stuck() -> None:
    office = Office()
    contact()
    alert = office.open()
    alert.happenings.update(at=office.now)

    soon = post(office.now + timedelta(seconds=100))
    late = post(office.now + timedelta(seconds=130))

    assert soon.trouble == ""
    assert late.stuck_since == office.now
    assert late.trouble.startswith("Messages about alerts are not being sent")


def test_what_nobody_sends_is_stuck() -> None:
    office = Office()
    contact()
    office.open()
    office.run()

    late = post(office.now + timedelta(seconds=200))

    assert late.waiting == 1
    assert late.stuck_since == office.now + timedelta(seconds=30)


def test_a_message_that_fails_waits_for_its_turn_and_is_not_stuck() -> None:
    office = Office(answer=lambda parcel: FAILED)
    contact()
    office.open()
    office.until(600)

    found = post(office.now)

    assert found.failed > 2
    assert found.trouble == ""


def test_what_was_given_up_is_said_until_somebody_tries_again() -> None:
    office = Office(answer=lambda parcel: FAILED)
    contact()
    office.open()
    office.until(90_000, every=600)
    Delivery.objects.update(created_at=office.now - timedelta(days=1))

    found = post(office.now)
    assert found.dead == 1
    assert found.trouble == (
        "1 message about alerts could not be delivered for a day and was given up."
    )
    assert post(office.now + timedelta(days=7)).trouble == ""

    assert revive(dead(office.now)) == 1
    assert post(office.now).dead == 0
