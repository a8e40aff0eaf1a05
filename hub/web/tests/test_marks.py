from __future__ import annotations

import json
import struct
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bench.seed import fill
from hub.machines.models import Machine
from hub.storage.models import Backfill, HubAway, Sample

pytestmark = pytest.mark.django_db


def head(client: Client, query: str = "range=1h") -> dict[str, Any]:
    body = client.get(f"/charts/atlas?{query}").content
    [length] = struct.unpack_from("<I", body)
    found = json.loads(body[4 : 4 + length])
    assert isinstance(found, dict)
    return found


@pytest.fixture
def atlas() -> Machine:
    fill(1, minutes=60, gaps=False)
    return Machine.objects.get(machine_id="atlas")


def test_an_hour_without_trouble_has_no_marks(client: Client, atlas: Machine) -> None:
    assert head(client)["stretches"] == []


def test_late_samples_are_marked_by_when_they_were_taken(
    client: Client, atlas: Machine
) -> None:
    end = timezone.now() - timedelta(minutes=20)
    start = end - timedelta(minutes=5)
    Backfill.objects.create(machine=atlas, start=start, end=end, received=end)

    [mark] = head(client)["stretches"]

    assert mark["kind"] == "late"
    assert mark["to"] - mark["from"] == 300_000
    assert head(client, "range=15m")["stretches"] == []


def test_a_gap_says_why(client: Client, atlas: Machine) -> None:
    now = timezone.now()
    start, end = now - timedelta(minutes=30), now - timedelta(minutes=20)
    Sample.objects.filter(machine=atlas, time__gt=start, time__lt=end).delete()
    HubAway.objects.create(
        start=start + timedelta(minutes=2), end=end - timedelta(minutes=4)
    )

    marks = head(client)["stretches"]

    assert [mark["kind"] for mark in marks] == ["no agent", "hub away", "no agent"]
    minutes = [round((mark["to"] - mark["from"]) / 60_000) for mark in marks]
    assert minutes == [2, 4, 4]
