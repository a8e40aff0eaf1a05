from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from hub.machines.models import Machine
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Metric


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("owner"))
    return client


@pytest.mark.parametrize(
    "page",
    [
        "admin:machines_machine_changelist",
        "admin:storage_metric_changelist",
        "admin:storage_layout_changelist",
        "admin:storage_watermark_changelist",
        "admin:storage_late_changelist",
    ],
)
def test_the_lists_can_be_looked_at(
    client: Client, machine: Machine, layout: LayoutInfo, page: str
) -> None:
    assert client.get(reverse(page)).status_code == 200


def test_a_layout_shows_its_series(client: Client, layout: LayoutInfo) -> None:
    page = client.get(reverse("admin:storage_layout_change", args=[layout.id]))

    assert b"system.cpu.utilization" in page.content


def test_of_a_machine_only_the_name_can_be_changed(
    client: Client, machine: Machine
) -> None:
    address = reverse("admin:machines_machine_change", args=[machine.pk])

    client.post(address, {"name": "Front", "machine_id": "other", "interval_s": "1"})

    machine.refresh_from_db()
    assert (machine.name, machine.machine_id, machine.interval_s) == (
        "Front",
        "web-1",
        5,
    )


@pytest.mark.parametrize(
    "page", ["storage_metric_add", "machines_machine_add", "storage_late_add"]
)
def test_nothing_is_added_by_hand(client: Client, page: str) -> None:
    assert client.get(reverse(f"admin:{page}")).status_code == 403


def test_a_metric_cannot_be_changed(client: Client, layout: LayoutInfo) -> None:
    metric = Metric.objects.get(name="system.uptime")
    address = reverse("admin:storage_metric_change", args=[metric.pk])

    assert client.get(address).status_code == 200
    assert client.post(address, {"name": "x"}).status_code == 403
