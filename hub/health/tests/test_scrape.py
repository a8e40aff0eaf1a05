from __future__ import annotations

import time

import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser, User
from prometheus_client.parser import text_string_to_metric_families

from hub.health import scrape
from hub.machines.models import Machine
from hub.machines.registry import CANARY
from hub.storage import layouts
from hub.storage.hot import get_hot
from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.storage.sample import StoredSample

pytestmark = pytest.mark.django_db

CPU = SeriesInfo("system.cpu.utilization", "1", "gauge", "Share of time busy.")
DISKS = [
    SeriesInfo("system.filesystem.usage", "By", "gauge", "Used.", (("mount", mount),))
    for mount in ("/", 'D:\\"data"')
]
ERRORS = SeriesInfo("system.network.errors", "{error}", "counter", "Errors.")

HOSTILE = 'x"} 1\nevil{machine="web\\-2'


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada")


def heard(
    machine_id: str, layout: LayoutInfo, *values: float, age_s: float = 0
) -> Machine:
    machine = Machine.objects.create(machine_id=machine_id, name=f"Our {machine_id}")
    now_ms = time.time_ns() // 1_000_000 - round(age_s * 1000)
    vector = np.array(values, "<f4").tobytes()
    sample = StoredSample(machine.pk, layout.id, 1, now_ms, now_ms, vector)
    get_hot().put([sample])
    return machine


def scraped(user: User | AnonymousUser) -> dict[tuple[str, ...], float]:
    """Return name, machine and further labels → value, read as Prometheus does."""
    text = b"".join(scrape.pieces(user)).decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family stands in two places"
    found = {}
    for family in families:
        for sample in family.samples:
            labels = dict(sample.labels)
            key = (sample.name, labels.pop("machine"), *labels.values())
            assert key not in found
            found[key] = sample.value
    return found


def test_each_reading_is_a_line_with_its_machine(user: User) -> None:
    heard("web-1", layouts.learn([CPU, *DISKS, ERRORS]), 0.1, 1e9, 2e9, 7)

    found = scraped(user)

    assert found["sysmonstm_system_cpu_utilization_ratio", "web-1"] == 0.1
    assert found["sysmonstm_system_filesystem_usage_bytes", "web-1", "/"] == 1e9
    assert found["sysmonstm_system_filesystem_usage_bytes", "web-1", 'D:\\"data"'] == (
        pytest.approx(2e9)
    )
    assert found["sysmonstm_system_network_errors_total", "web-1"] == 7
    assert found["sysmonstm_machine_up", "web-1"] == 1
    [info] = [key for key in found if key[0] == "sysmonstm_machine_info"]
    assert info[1:3] == ("web-1", "Our web-1")
    seen_s = found["sysmonstm_machine_last_seen_timestamp_seconds", "web-1"]
    assert seen_s == pytest.approx(time.time(), abs=60)


def test_machines_of_different_layouts_share_their_families(user: User) -> None:
    heard("web-1", layouts.learn([CPU, ERRORS]), 0.1, 3)
    heard("web-2", layouts.learn([ERRORS, CPU]), 4, 0.2)

    found = scraped(user)

    assert found["sysmonstm_system_cpu_utilization_ratio", "web-1"] == 0.1
    assert found["sysmonstm_system_cpu_utilization_ratio", "web-2"] == 0.2
    assert found["sysmonstm_system_network_errors_total", "web-2"] == 4


def test_what_has_no_reading_has_no_line(user: User) -> None:
    heard("web-1", layouts.learn([CPU, ERRORS]), float("nan"), 3)

    assert [key for key in scraped(user) if "cpu" in key[0]] == []


def test_values_of_a_machine_that_is_offline_are_not_told(user: User) -> None:
    heard("web-1", layouts.learn([CPU]), 0.1, age_s=200)
    Machine.objects.create(machine_id="never")

    found = scraped(user)

    assert found["sysmonstm_machine_up", "web-1"] == 0
    assert found["sysmonstm_machine_up", "never"] == 0
    assert ("sysmonstm_system_cpu_utilization_ratio", "web-1") not in found


def test_a_machine_cannot_write_lines_by_its_name(user: User) -> None:
    heard(HOSTILE, layouts.learn([CPU]), 0.1)

    found = scraped(user)

    assert found["sysmonstm_system_cpu_utilization_ratio", HOSTILE] == 0.1
    assert {key[1] for key in found} == {HOSTILE}


def test_names_that_become_the_same_do_not_spoil_the_scrape(user: User) -> None:
    twins = [
        SeriesInfo("disk.busy", "1", "gauge", "One."),
        SeriesInfo("disk_busy", "1", "gauge", "Two."),
    ]
    heard("web-1", layouts.learn(twins), 0.1, 0.2)

    found = scraped(user)

    assert found["sysmonstm_disk_busy_ratio", "web-1"] == 0.1


def test_who_may_see_nothing_is_told_nothing(user: User) -> None:
    heard("web-1", layouts.learn([CPU]), 0.1)

    assert scraped(AnonymousUser()) == {}


def test_the_canary_is_not_among_the_machines(user: User) -> None:
    heard(CANARY, layouts.learn([CPU]), 0.1)

    assert scraped(user) == {}


def test_a_large_fleet_comes_in_pieces(user: User) -> None:
    series = [SeriesInfo(f"load{n}", "1", "gauge", "Help.") for n in range(80)]
    layout = layouts.learn(series)
    for number in range(100):
        heard(f"web-{number:03d}", layout, *np.linspace(0.1, 0.9, 80))

    pieces = list(scrape.pieces(user))

    assert len(pieces) > 1
    assert max(map(len, pieces)) < 2 * scrape.PIECE_BYTES
    assert b"".join(pieces).count(b"\nsysmonstm_load") == 8000
