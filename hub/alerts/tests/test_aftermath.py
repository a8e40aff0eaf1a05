from __future__ import annotations

from datetime import timedelta

import pytest

from hub.alerts import aftermath
from hub.alerts.ledger import moment
from hub.alerts.models import Alert
from hub.alerts.tests.scenes import CPU, DISK, disk, series, vector
from hub.alerts.tests.world import World
from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.sample import StoredSample

pytestmark = pytest.mark.django_db

MINUTE_MS = 60_000


def play(world: World, machine: Machine, seconds: int, cpu: float) -> None:
    """Let samples come, be stored and be judged."""
    for _ in range(seconds // 5):
        world.now_ms += 5000
        sample = world.sample(machine, cpu)
        raw.write([raw.Incoming(sample, b"e" * 16)])
        world.turn(sample)


def shown(alert: Alert) -> list[tuple[float, float]]:
    """Return the samples as seconds since the opening, and values."""
    opened_ms = alert.opened_at.timestamp() * 1000
    return [
        (((at_ms or 0) - opened_ms) / 1000, round(value or 0, 2))
        for at_ms, value in alert.samples
    ]


def test_what_followed_the_opening_is_kept_with_it(world: World) -> None:
    machine = world.machine()
    world.rule()
    play(world, machine, 240, 0.1)
    play(world, machine, 60, 0.9)
    [before] = Alert.objects.all()

    play(world, machine, 300, 0.2)

    [alert] = Alert.objects.all()
    assert shown(before)[-1] == (0, 0.9)
    assert not before.samples_are_whole
    assert alert.samples_are_whole
    found = shown(alert)
    assert found[0][0] == pytest.approx(-240, abs=5)
    assert found[-1][0] == pytest.approx(295, abs=10)
    assert [value for at_s, value in found if 0 < at_s < 60] == [0.9] * 11
    assert {value for at_s, value in found if at_s >= 60} == {0.2}
    # The rest of what became of it is not undone by that.
    assert alert.state == "resolved"


def test_an_alert_that_a_killed_process_left_is_completed_by_the_next(
    world: World,
) -> None:
    machine = world.machine()
    world.rule()
    play(world, machine, 30, 0.9)
    world.restart()
    play(world, machine, 30, 0.9)
    world.restart()

    play(world, machine, 300, 0.9)

    [alert] = Alert.objects.all()
    assert alert.samples_are_whole
    assert shown(alert)[-1][0] > 250


def test_values_that_are_divided_are_shown_so(world: World) -> None:
    machine = world.machine()
    layout = layouts.learn([series(CPU), series("system.cpu.logical.count", "{cpu}")])
    at = moment(world.now_ms)
    for second in range(-60, 60, 5):
        at_ms = world.now_ms + second * 1000
        values = vector(8.0, 4.0)
        sample = StoredSample(machine.pk, layout.id, 100 + second, at_ms, at_ms, values)
        raw.write([raw.Incoming(sample, b"e" * 16)])
    rule = world.rule(per="system.cpu.logical.count")
    alert = Alert.objects.create(
        rule=rule,
        snapshot=rule.snapshot(),
        machine=machine,
        metric=CPU,
        series_key="x",
        severity="warning",
        peak_severity="warning",
        opened_at=at,
        changed_at=at,
    )

    assert {value for _, value in aftermath.around(alert)} == {2.0}


def test_what_the_tiers_have_lost_is_left_as_it_was(world: World) -> None:
    machine = world.machine()
    world.rule(metric=DISK)
    world.now_ms += 5000
    world.turn(world.sample(machine, 0.1, 0.9, 0.1))
    [before] = Alert.objects.all()

    late = moment(world.now_ms) + timedelta(days=3)
    assert aftermath.complete(late) == 1

    [alert] = Alert.objects.all()
    assert alert.samples == before.samples
    assert alert.samples_are_whole
    assert aftermath.complete(late) == 0


def test_a_storm_is_completed_a_few_at_a_time(world: World) -> None:
    machine = world.machine()
    mounts = [disk(f"/{n}") for n in range(30)]
    layout = layouts.learn([series(CPU), *mounts])
    world.rule(metric=DISK)
    world.now_ms += 5000
    world.turn(world.sample(machine, *[0.9] * 31, layout=layout))

    later = moment(world.now_ms + 5 * MINUTE_MS)

    assert [aftermath.complete(later) for _ in range(3)] == [20, 10, 0]
