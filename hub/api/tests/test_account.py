from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from hub.machines.models import Machine
from hub.storage.models import Backfill, Cursor, MachineReport

pytestmark = pytest.mark.django_db

PATH = "/api/machines/web-1/account"


def test_what_became_of_every_sample(client: Client, web_1: Machine) -> None:
    cursor = Cursor.objects.get(machine=web_1)
    MachineReport.objects.create(
        machine=web_1,
        spool_epoch=cursor.spool_epoch,
        produced=cursor.sequence + 5,
        oldest_sequence=cursor.sequence + 1,
        received=timezone.now(),
        clock_skew_ms=12,
    )
    end = timezone.now()
    start = end - timedelta(minutes=5)
    Backfill.objects.create(machine=web_1, start=start, end=end, received=end)

    told = client.get(PATH).json()

    assert told["produced"] == told["stored"] + told["evicted"] + told["spooled"]
    assert (told["stored"], told["spooled"], told["refused"]) == (120, 5, 0)
    assert (told["remainder"], told["is_settled"], told["clock_skew_ms"]) == (
        0,
        True,
        12,
    )
    assert set(told["last_backfill"]) == {"from", "to"}


def test_a_remainder_is_told(client: Client, web_1: Machine) -> None:
    Cursor.objects.filter(machine=web_1).update(stored=F("stored") - 2)

    told = client.get(PATH).json()

    assert (told["remainder"], told["is_settled"]) == (2, False)


def test_a_machine_without_samples_has_none(client: Client, new: Machine) -> None:
    answer = client.get("/api/machines/new-1/account")

    assert answer.status_code == 404
    assert "has not sent a sample" in answer.json()["error"]


def test_strangers_and_unknown_machines(client: Client, web_1: Machine) -> None:
    assert Client().get(PATH).status_code == 401
    assert client.get("/api/machines/nope/account").status_code == 404
