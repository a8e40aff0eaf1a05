from __future__ import annotations

from datetime import timedelta

import pytest

from hub.alerts.engine import Engine, Turn
from hub.alerts.ledger import moment
from hub.alerts.models import Alert, Blindness, Evaluator, Share
from hub.alerts.shares import SHARES
from hub.alerts.tests.world import World, bury, open_alerts
from hub.machines.models import Machine
from hub.machines.registry import CANARY
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot

pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet(world: World) -> list[Machine]:
    world.rule(
        name="Machine is down", kind="down", metric="", operator="gte",
        warning=None, critical=12,
    )  # fmt: skip
    return [world.machine(f"web-{n}") for n in range(4)]


def tick_for(world: World, seconds: int, *machines: Machine) -> None:
    for _ in range(seconds // 5):
        world.tick(*machines)


def test_a_machine_that_falls_silent_is_down_until_it_is_heard(
    world: World, fleet: list[Machine]
) -> None:
    tick_for(world, 60, *fleet)

    tick_for(world, 55, *fleet[1:])
    assert open_alerts() == []
    tick_for(world, 10, *fleet[1:])

    [alert] = open_alerts()
    assert (alert.machine, alert.severity, alert.metric) == (fleet[0], "critical", "")
    assert alert.value == 12
    tick_for(world, 10, *fleet)
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_late_samples_are_a_sign_of_life(world: World, fleet: list[Machine]) -> None:
    tick_for(world, 60, *fleet)

    for _ in range(30):
        world.now_ms += 5000
        backlog = world.sample(fleet[0], 0.5, late_s=600)
        world.turn(backlog, *[world.sample(one, 0.5) for one in fleet[1:]])

    assert open_alerts() == []


def test_a_planned_stop_is_not_down(world: World, fleet: list[Machine]) -> None:
    tick_for(world, 60, *fleet)
    Machine.objects.filter(pk=fleet[0].pk).update(left_at=moment(world.now_ms))

    tick_for(world, 300, *fleet[1:])

    assert open_alerts() == []


def test_a_planned_stop_is_remembered_by_the_next_process(
    world: World, fleet: list[Machine]
) -> None:
    tick_for(world, 60, *fleet)
    Machine.objects.filter(pk=fleet[0].pk).update(left_at=moment(world.now_ms))
    world.restart()

    tick_for(world, 300, *fleet[1:])

    assert open_alerts() == []


def test_who_stopped_as_planned_and_came_back_can_be_down_again(
    world: World, fleet: list[Machine]
) -> None:
    tick_for(world, 60, *fleet)
    Machine.objects.filter(pk=fleet[0].pk).update(left_at=moment(world.now_ms))
    tick_for(world, 60, *fleet[1:])
    tick_for(world, 60, *fleet)

    tick_for(world, 90, *fleet[1:])

    assert [alert.machine for alert in open_alerts()] == [fleet[0]]


def test_a_new_machine_that_never_spoke_is_not_down(
    world: World, fleet: list[Machine]
) -> None:
    tick_for(world, 300, *fleet[1:])

    assert open_alerts() == []


def test_a_thousand_machines_and_five_minutes_without_the_hub(
    world: World, fleet: list[Machine]
) -> None:
    Machine.objects.bulk_create(
        [Machine(machine_id=f"node-{n}", interval_s=5) for n in range(996)]
    )
    machines = list(Machine.objects.all())
    tick_for(world, 15, *machines)
    _age_the_leases(world)

    world.now_ms += 300_000
    world.engine = world.start()
    # They come back one after the other.
    for step in range(20):
        back = machines[: 50 * (step + 1)]
        world.tick(*back)
    tick_for(world, 120, *machines)

    assert Alert.objects.count() == 0
    assert Blindness.objects.count() == 1
    tick_for(world, 70, *machines[1:])
    assert [alert.machine for alert in open_alerts()] == machines[:1]


def test_a_machine_that_fell_silent_while_nobody_looked_is_not_forgotten(
    world: World, fleet: list[Machine]
) -> None:
    tick_for(world, 60, *fleet)

    world.now_ms += 600_000
    world.restart()
    tick_for(world, 180, *fleet[1:])

    assert [alert.machine for alert in open_alerts()] == [fleet[0]]


def test_who_takes_a_share_over_first_listens(
    world: World, fleet: list[Machine]
) -> None:
    tick_for(world, 60, *fleet)
    heir = world.start()
    heir.turn(Turn())
    set_hot(MemoryHot(clock=lambda: world.now_ms / 1000))
    for _ in range(15):
        world.now_ms += 5000
        heir.turn(Turn([world.sample(fleet[1], 0.1)]))
        set_hot(MemoryHot(clock=lambda: world.now_ms / 1000))

    bury(world.engine.name)
    world.now_ms += 5000
    heir.turn(Turn())

    assert len(heir.mine) == SHARES
    assert open_alerts() == []


def test_when_only_the_ear_was_away_nobody_is_down(
    world: World, fleet: list[Machine]
) -> None:
    canary = world.machine(CANARY)
    tick_for(world, 60, *fleet, canary)

    world.wait(300)
    assert open_alerts() == []
    tick_for(world, 60, fleet[0], canary)
    tick_for(world, 60, *fleet, canary)

    assert Alert.objects.count() == 0
    [blindness] = Blindness.objects.all()
    assert blindness.why == "nothing was received"
    assert blindness.end - blindness.start == timedelta(seconds=305)


def test_the_hubs_own_test_machine_is_under_no_rule(
    world: World, fleet: list[Machine]
) -> None:
    canary = world.machine(CANARY)
    tick_for(world, 60, *fleet, canary)

    tick_for(world, 300, *fleet)

    assert open_alerts() == []


def test_the_only_machine_is_down_after_five_minutes(world: World) -> None:
    world.rule(kind="down", metric="", operator="gte", warning=None, critical=12)
    machine = world.machine()
    tick_for(world, 60, machine)

    world.wait(290)
    assert open_alerts() == []
    world.wait(30)

    assert len(open_alerts()) == 1


@pytest.mark.parametrize("ahead_s", [60, 600])
def test_an_evaluation_whose_clock_is_ahead_calls_nobody_down(
    world: World, fleet: list[Machine], ahead_s: int
) -> None:
    """Or one that has fallen behind: both read now what was received long ago."""
    world.engine = Engine(clock=lambda: world.now_ms + ahead_s * 1000)

    tick_for(world, 900, *fleet)

    assert Alert.objects.count() == 0


def test_an_evaluation_whose_clock_is_behind_notices_who_falls_silent(
    world: World, fleet: list[Machine]
) -> None:
    world.engine = Engine(clock=lambda: world.now_ms - 3_600_000)
    tick_for(world, 60, *fleet)

    tick_for(world, 70, *fleet[1:])

    assert [alert.machine for alert in open_alerts()] == [fleet[0]]


def _age_the_leases(world: World) -> None:
    """As if every process of the hub had died this moment."""
    last = moment(world.now_ms) + timedelta(seconds=15)
    Evaluator.objects.update(until=last)
    Share.objects.update(until=last)
