from __future__ import annotations

import numpy as np
import pytest

from hub.alerts.ledger import moment
from hub.alerts.models import Alert
from hub.alerts.tests.scenes import CPU, DISK, disk, series, vector
from hub.alerts.tests.world import NOON_MS, World, open_alerts
from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.sample import StoredSample

pytestmark = pytest.mark.django_db


def fill(machine: Machine, *, per_hour: float, until: float, hours: int = 20) -> None:
    """Store a sample every five minutes until noon: / fills, /data does not."""
    layout = layouts.learn([series(CPU), disk("/"), disk("/data")])
    count = hours * 12
    full = until - per_hour * np.arange(count, 0, -1) / 12
    raw.write(
        [
            raw.Incoming(
                StoredSample(
                    machine.pk,
                    layout.id,
                    number + 1,
                    at := NOON_MS - (count - number) * 300_000,
                    at,
                    vector(0.2, float(value), 0.5),
                ),
                b"f" * 16,
            )
            for number, value in enumerate(full)
        ]
    )


@pytest.fixture
def machine(world: World) -> Machine:
    world.rule(
        name="Will be full", kind="forecast", metric=DISK, operator="gte",
        warning=1.0, horizon_s=86_400, clear_for_s=0,
    )  # fmt: skip
    return world.machine(first_seen=moment(NOON_MS))


def test_a_file_system_that_fills_opens_an_alert_in_time(
    world: World, machine: Machine
) -> None:
    fill(machine, per_hour=0.02, until=0.8)

    world.wait(10)

    [alert] = open_alerts()
    assert alert.attributes == {"system.filesystem.mountpoint": "/"}
    assert alert.value is not None
    assert alert.value / 3600 == pytest.approx(10, abs=0.3)


def test_one_that_fills_slowly_does_not(world: World, machine: Machine) -> None:
    fill(machine, per_hour=0.002, until=0.8)

    world.wait(10)

    assert not Alert.objects.exists()


def test_a_machine_is_looked_at_every_ten_minutes(
    world: World, machine: Machine
) -> None:
    world.wait(5)
    fill(machine, per_hour=0.02, until=0.8)

    world.wait(590)
    assert open_alerts() == []
    world.wait(15)

    assert len(open_alerts()) == 1
