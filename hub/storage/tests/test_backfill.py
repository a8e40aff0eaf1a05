from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hub.machines.models import Machine
from hub.storage import away, raw, tasks
from hub.storage.backfill import Gap, Stretch, backfills, explain, gaps, note
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Backfill, HubAway
from hub.storage.tests.conftest import NOON_MS, arriving, sample
from hub.storage.window import window

NOON = datetime.fromtimestamp(NOON_MS / 1000, UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def stretch(machine: Machine, start: float, end: float, received: float) -> Stretch:
    return Stretch(machine.pk, at(start), at(end), at(received))


def test_a_spool_sent_in_many_batches_is_one_stretch(machine: Machine) -> None:
    note([stretch(machine, 0, 10, received=60)])
    note([stretch(machine, 11, 20, received=61)])

    [found] = backfills(machine, at(-60), at(60))
    assert found == stretch(machine, 0, 20, received=61)


def test_a_machine_that_was_removed_is_left_out(machine: Machine) -> None:
    gone = Stretch(machine.pk + 9, at(0), at(5), at(60))

    note([gone, stretch(machine, 0, 5, 60)])

    [kept] = Backfill.objects.all()
    assert kept.machine_id == machine.pk


def test_stretches_far_apart_stay_apart(machine: Machine) -> None:
    note([stretch(machine, 0, 5, 60), stretch(machine, 20, 25, 60)])

    assert len(backfills(machine, at(-60), at(60))) == 2
    assert backfills(machine, at(6), at(19)) == []


def test_what_came_at_another_time_is_another_stretch(machine: Machine) -> None:
    note([stretch(machine, 0, 5, received=60)])
    note([stretch(machine, 5, 9, received=300)])

    assert Backfill.objects.count() == 2


def test_a_hole_is_cut_where_the_hub_went_away() -> None:
    found = explain(at(0), at(30), [(at(-5), at(3)), (at(10), at(15))])

    assert found == [
        Gap(at(0), at(3), "hub away"),
        Gap(at(3), at(10), "no agent"),
        Gap(at(10), at(15), "hub away"),
        Gap(at(15), at(30), "no agent"),
    ]


@pytest.fixture
def ticking(machine: Machine, layout: LayoutInfo) -> Machine:
    """A machine with samples of minutes 0-1, 5-6 and 10-11, every five seconds."""
    machine.first_seen = at(-60)
    machine.save()
    seconds = [m * 60 + s for m in (0, 5, 10) for s in range(0, 60, 5)]
    raw.write(
        arriving(
            [
                sample(machine.pk, layout.id, n, 1, 2, at_s=second)
                for n, second in enumerate(seconds, 1)
            ]
        )
    )
    return machine


def test_gaps_say_why(ticking: Machine) -> None:
    HubAway.objects.create(start=at(7), end=at(9))

    found = gaps(ticking, at(0), at(11))

    second = timedelta(seconds=1)
    assert found == [
        Gap(at(1) - 5 * second, at(5), "no agent"),
        Gap(at(6) - 5 * second, at(7), "no agent"),
        Gap(at(7), at(9), "hub away"),
        Gap(at(9), at(10), "no agent"),
    ]


def test_before_the_machine_was_known_there_is_no_gap(ticking: Machine) -> None:
    ticking.first_seen = at(5)

    assert gaps(ticking, at(0), at(5.5)) == []
    assert gaps(ticking, at(-9), at(-3)) == []


@pytest.mark.parametrize("known_since", [-60, 5.5])
def test_whoever_has_read_the_samples_finds_the_same_gaps(
    ticking: Machine, known_since: float
) -> None:
    ticking.first_seen = at(known_since)
    read = window(ticking, None, at(0), at(11), points=1_000)
    assert read.moments is not None

    found = gaps(ticking, at(0), at(11), read.moments)

    assert found == gaps(ticking, at(0), at(11)) != []
    assert window(ticking, None, at(0), at(11), points=10).moments is None


def test_a_missed_tick_is_no_gap(machine: Machine, layout: LayoutInfo) -> None:
    machine.first_seen = at(0)
    ticks = [sample(machine.pk, layout.id, n, 1, 2, at_s=15 * n) for n in range(4)]
    raw.write(arriving(ticks[1:]))

    assert gaps(machine, at(0), at(1)) == []


@pytest.mark.django_db
def test_a_pause_of_the_heartbeat_is_an_absence() -> None:
    assert away.beat(at(0)) is None
    assert away.beat(at(0.2)) is None

    pause = away.beat(at(9))

    assert pause is not None
    assert away.between(at(5), at(6)) == [(at(0.2), at(9))]
    assert away.beat(at(9.2)) is None
    assert away.between(at(20), at(30)) == []


@pytest.mark.django_db
def test_a_clock_that_steps_back_is_no_absence() -> None:
    away.beat(at(9))

    assert away.beat(at(0)) is None
    assert away.beat(at(9.1)) is None


@pytest.mark.django_db
def test_marks_go_with_the_last_tier_that_they_speak_of(machine: Machine) -> None:
    now = datetime.now(UTC)
    for days in (91, 89):
        end = now - timedelta(days=days)
        Backfill.objects.create(
            machine=machine, start=end - timedelta(hours=1), end=end, received=end
        )

    tasks.expire_tiers()

    assert [mark.end > now - timedelta(days=90) for mark in Backfill.objects.all()] == [
        True
    ]
