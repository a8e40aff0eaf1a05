from __future__ import annotations

from datetime import timedelta

import pytest

from hub.alerts.engine import Engine, Turn
from hub.alerts.models import Alert, Blindness, Rule, RuleState
from hub.alerts.state import Happening
from hub.alerts.tests.scenes import CPU, DISK, disk, series
from hub.alerts.tests.world import World, bury, open_alerts
from hub.machines.models import Tag
from hub.storage import layouts
from hub.storage.hot import get_hot

pytestmark = pytest.mark.django_db

OPENED, RESOLVED = Happening.OPENED, Happening.RESOLVED


def test_an_incident_is_one_alert_from_its_opening_to_its_end(world: World) -> None:
    machine, rule = world.machine(name="web-1", os="Debian"), world.rule()

    world.play(machine, [0.1, 0.9, 0.95, 0.85])
    [alert] = open_alerts()
    world.play(machine, [0.2, 0.2])

    assert (alert.rule, alert.machine, alert.metric) == (rule, machine, CPU)
    assert (alert.severity, alert.machine_title) == ("warning", "web-1")
    assert alert.value == pytest.approx(0.9)
    assert alert.rule_name == "CPU is busy"
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert alert.resolved_at == alert.opened_at + timedelta(seconds=15)
    assert alert.peak_value == pytest.approx(0.95)
    assert alert.peak_at == alert.opened_at + timedelta(seconds=5)
    assert alert.last_value == pytest.approx(0.2)
    assert world.told == [("CPU is busy", OPENED), ("CPU is busy", RESOLVED)]
    assert list(alert.chapters.values_list("what", "at")) == [
        ("opened", alert.opened_at),
        ("resolved", alert.resolved_at),
    ]


def test_an_alert_keeps_the_values_that_led_to_it(world: World) -> None:
    machine = world.machine()
    world.rule()

    world.play(machine, [0.1, 0.5, 0.9])

    [alert] = open_alerts()
    assert [value for _, value in alert.samples] == pytest.approx([0.1, 0.5, 0.9])
    assert alert.samples[-1][0] == world.now_ms


def test_each_series_has_its_own_alert(world: World) -> None:
    machine = world.machine()
    world.rule(metric=DISK, matchers=[], warning=0.8)

    world.now_ms += 5000
    world.turn(world.sample(machine, 0.1, 0.9, 0.95))
    world.now_ms += 5000
    world.turn(world.sample(machine, 0.1, 0.2, 0.95))

    assert [alert.attributes for alert in open_alerts()] == [
        {"system.filesystem.mountpoint": "/data"}
    ]
    assert Alert.objects.count() == 2


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_crash_anywhere_changes_nothing(world: World, cut: int) -> None:
    machine = world.machine()
    world.rule(for_s=10, clear_for_s=10)
    values = [0.1, 0.9, 0.9, 0.9, 0.9, 0.2, 0.2, 0.2, 0.9, 0.9, 0.9, 0.9]

    world.play(machine, values[:cut])
    world.restart()
    world.play(machine, values[cut:])

    assert world.told == [
        ("CPU is busy", happening) for happening in (OPENED, RESOLVED, OPENED)
    ]
    first, second = Alert.objects.order_by("opened_at")
    assert (second.opened_at - first.opened_at).total_seconds() == 35
    assert first.resolved_at == first.opened_at + timedelta(seconds=20)


def test_what_was_sent_while_nobody_evaluated_is_judged_afterwards(
    world: World,
) -> None:
    machine = world.machine()
    world.rule(for_s=10)
    world.play(machine, [0.1])

    world.restart()
    for _ in range(4):
        world.now_ms += 5000
        world.sample(machine, 0.9)
    world.turn()

    [alert] = open_alerts()
    assert (world.now_ms - alert.opened_at.timestamp() * 1000) == pytest.approx(5000)


def test_windows_are_filled_again_after_a_restart(world: World) -> None:
    machine = world.machine()
    world.rule(aggregation="avg", window_s=60, warning=0.8)

    world.play(machine, [0.9] * 11)
    world.restart()
    world.play(machine, [0.9])

    assert len(open_alerts()) == 1


def test_late_samples_neither_fire_nor_resolve(world: World) -> None:
    machine = world.machine()
    world.rule()
    world.play(machine, [0.1, 0.1])

    world.turn(*[world.sample(machine, 0.99, late_s=s) for s in (300, 200, 100, 40)])
    assert open_alerts() == []

    world.play(machine, [0.9])
    world.turn(*[world.sample(machine, 0.1, late_s=s) for s in (300, 200, 100, 40)])
    assert len(open_alerts()) == 1


def test_what_an_agent_kept_while_the_hub_was_away_never_fires(world: World) -> None:
    machine = world.machine()
    world.rule()
    world.play(machine, [0.1, 0.1])

    world.wait(600)
    world.turn(*[world.sample(machine, 0.99, late_s=s) for s in range(590, 40, -5)])
    world.play(machine, [0.1])

    assert not Alert.objects.exists()


def test_a_machine_whose_clock_is_wrong_is_watched_all_the_same(world: World) -> None:
    machine = world.machine()
    world.rule()

    for _ in range(14):
        world.now_ms += 5000
        world.turn(world.sample(machine, 0.9, late_s=3600))

    assert len(open_alerts()) == 1


def test_a_rule_that_is_about_something_else_now_ends_its_alerts(world: World) -> None:
    rule, machine = world.rule(), world.machine()
    world.play(machine, [0.9, 0.9])
    assert len(open_alerts()) == 1

    Rule.objects.filter(pk=rule.pk).update(
        kind="down", metric="", operator="gte", warning=None, critical=12
    )
    world.turn(rules_changed=True)
    world.play(machine, [0.9, 0.9])

    assert open_alerts() == []
    [alert] = Alert.objects.all()
    assert alert.resolved_why == "The rule is about something else now."


def test_rules_change_live(world: World) -> None:
    machine = world.machine()
    rule = world.rule(warning=0.95)
    world.play(machine, [0.9])
    assert open_alerts() == []

    rule.warning = 0.8
    rule.save()
    world.turn(rules_changed=True)
    world.play(machine, [0.9])
    assert len(open_alerts()) == 1

    rule.enabled = False
    rule.save()
    world.turn(rules_changed=True)
    [alert] = Alert.objects.all()
    assert alert.resolved_why == "The rule does not cover it any more."


def test_a_rule_that_nobody_told_of_is_found_by_itself(world: World) -> None:
    machine = world.machine()
    world.play(machine, [0.9])
    world.rule()

    world.play(machine, [0.9] * 7)

    assert len(open_alerts()) == 1


def test_deleting_a_rule_ends_its_alerts(world: World) -> None:
    machine, rule = world.machine(), world.rule()
    world.play(machine, [0.9])

    rule.delete()
    world.turn(rules_changed=True)
    world.play(machine, [0.9])

    [alert] = Alert.objects.all()
    assert (alert.state, alert.rule) == ("resolved", None)
    assert alert.resolved_why == "The rule was deleted."
    assert alert.rule_name == "CPU is busy"


def test_deleting_a_machine_ends_its_alerts(world: World) -> None:
    machine = world.machine()
    world.rule()
    world.play(machine, [0.9])

    machine.delete()
    world.wait(40)

    [alert] = Alert.objects.all()
    assert (alert.state, alert.machine_title) == ("resolved", "web-1")


def test_a_new_machine_with_the_tag_is_covered_at_once(world: World) -> None:
    tag = Tag.objects.create(name="database")
    rule = world.rule(scope="tags")
    rule.tags.add(tag)
    other = world.machine("web-1")
    world.play(other, [0.9])

    late = world.machine("db-1")
    late.tags.add(tag)
    world.engine.turn(Turn(machines_changed=True))
    world.play(late, [0.9])

    assert [alert.machine for alert in open_alerts()] == [late]


def test_a_series_that_is_gone_ends_its_alert_after_a_while(world: World) -> None:
    machine = world.machine()
    world.rule(metric=DISK)
    world.now_ms += 5000
    world.turn(world.sample(machine, 0.1, 0.9))
    smaller = layouts.learn([series(CPU), disk("/data")])

    for _ in range(50):
        world.now_ms += 5000
        world.turn(world.sample(machine, 0.1, 0.1, layout=smaller))
    assert len(open_alerts()) == 1
    for _ in range(15):
        world.now_ms += 5000
        world.turn(world.sample(machine, 0.1, 0.1, layout=smaller))

    [alert] = Alert.objects.all()
    assert alert.resolved_why == "The series is gone."


def test_two_processes_share_the_machines_and_fire_once(world: World) -> None:
    machines = [world.machine(f"web-{n}") for n in range(8)]
    world.rule()
    first = world.engine
    second = world.start()
    for engine in (first, second, first, second):
        world.now_ms += 5000
        engine.turn(Turn())
    assert first.mine
    assert second.mine
    assert not first.mine & second.mine

    world.now_ms += 5000
    samples = [world.sample(machine, 0.9) for machine in machines]
    told = [*first.turn(Turn(samples)), *second.turn(Turn(samples))]

    assert len(told) == len(open_alerts()) == 8


def test_a_process_that_lost_its_share_writes_nothing(world: World) -> None:
    machine = world.machine()
    world.rule()
    world.play(machine, [0.1])
    stopped, heir = world.engine, world.start()
    bury(stopped.name)
    heir.turn(Turn())

    world.now_ms += 1000
    sample = world.sample(machine, 0.9)
    told = stopped.turn(Turn([sample])), heir.turn(Turn([sample]))

    assert [len(happened) for happened in told] == [0, 1]
    assert len(open_alerts()) == 1


def test_states_at_rest_leave_no_rows(world: World) -> None:
    machine = world.machine()
    world.rule(for_s=10)

    world.play(machine, [0.1, 0.9])
    assert RuleState.objects.get().phase == "pending"
    world.play(machine, [0.1, 0.1])

    assert not RuleState.objects.exists()


def test_an_alert_without_its_state_is_taken_up_again(world: World) -> None:
    machine = world.machine()
    world.rule()
    world.play(machine, [0.9])
    RuleState.objects.all().delete()

    world.restart()
    world.play(machine, [0.9, 0.9, 0.1])

    [alert] = Alert.objects.all()
    assert alert.state == "resolved"


def test_without_data_it_fires_when_the_rule_says_so(world: World) -> None:
    machine, other = world.machine("web-1"), world.machine("web-2")
    world.rule(no_data="fire")
    world.tick(machine, other)

    for _ in range(8):
        world.tick(other)

    [alert] = open_alerts()
    assert (alert.machine, alert.value) == (machine, None)


def test_the_position_moves_with_what_was_written(world: World) -> None:
    machine = world.machine()
    world.rule()
    world.play(machine, [0.9])

    again: Engine = world.start()
    bury(world.engine.name)
    again.turn(Turn())

    assert again.machines[machine.pk].position.received_ms == world.now_ms
    assert len(get_hot().recent(machine.pk)) == 1


def test_no_blindness_is_noted_at_the_first_start(world: World) -> None:
    world.tick(world.machine())

    assert not Blindness.objects.exists()


def test_a_sample_whose_layout_nobody_knows_is_a_sign_of_life_and_no_reading(
    world: World,
) -> None:
    world.rule()
    world.rule(
        name="Machine is down", kind="down", metric="", operator="gte",
        warning=None, critical=12,
    )  # fmt: skip
    machine = world.machine()
    world.play(machine, [0.1])

    for _ in range(30):
        world.now_ms += 5000
        world.turn(world.sample(machine, 0.9)._replace(layout=-4711))

    assert open_alerts() == []
