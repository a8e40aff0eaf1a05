"""Messages about alerts that do not go out are trouble of the hub itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone

from hub.alerts.models import Contact, Delivery
from hub.health.dependencies import MESSAGES, findings, probes
from hub.health.probe import State
from hub.health.trouble import of_messages

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    probes.cache_clear()


@sync_to_async
def give_up(count: int) -> None:
    ops = Contact(name="ops")
    ops.reach("ops@example.org")
    ops.save()
    now = timezone.now()
    for _ in range(count):
        Delivery.objects.create(
            contact=ops, state="dead", due_at=now, created_at=now - timedelta(days=1)
        )


async def test_without_messages_all_is_well() -> None:
    found = await findings()

    assert found[MESSAGES].state == State.OK
    assert found[MESSAGES].sentence == "0 sent and 0 failed within the last hour."
    assert of_messages(found[MESSAGES]) is None


async def test_dead_messages_are_said_in_a_sentence(client: Client) -> None:
    await give_up(3)

    found = await findings()
    trouble = of_messages(found[MESSAGES])
    answer = await sync_to_async(client.get)("/ready")

    assert trouble is not None
    assert trouble.what == "Messages undelivered"
    assert trouble.meaning.startswith("3 messages about alerts could not be delivered")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
