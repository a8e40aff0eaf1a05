"""When the processes are looked at, by a clock that is moved by hand."""

from __future__ import annotations

import math

import pytest
from sysmonstm_agent.collectors.cpu import UTILIZATION as CPU
from sysmonstm_agent.collectors.memory import UTILIZATION as MEMORY
from sysmonstm_agent.collectors.pressure import SOME
from sysmonstm_agent.metric import Reading
from sysmonstm_agent.processes.pace import SAVINGS_S, SHARE, Pace, Vitals, vitals

CALM = Vitals(0.1, 0.5, 0.0)
# Of a machine with some hundreds of processes.
COST_S = 0.006


class Machine:
    """Ticks every five seconds and looks when it is due; seconds since the start."""

    def __init__(self, cost_s: float = COST_S) -> None:
        self.pace = Pace(0.0)
        self.now_s = 0.0
        self.cost_s = cost_s
        self.looks: list[float] = []
        self.unasked: list[float] = []

    def live(self, until_s: float, now: Vitals = CALM) -> None:
        while self.now_s < until_s:
            self.pace.feel(now, self.now_s)
            tick_s = self.now_s + 5
            while self.now_s + self.pace.wait_s(self.now_s) < tick_s:
                # Never quite as long as it was told.
                self.now_s += self.pace.wait_s(self.now_s) + 1e-6
                self.looks.append(round(self.now_s, 1))
                if self.pace.looked(self.now_s, self.cost_s):
                    self.unasked.append(round(self.now_s, 1))
            self.now_s = tick_s

    def looked_since(self, at_s: float) -> list[float]:
        return [one for one in self.looks if one >= at_s]


def test_a_quiet_machine_is_looked_at_every_half_minute() -> None:
    machine = Machine()

    machine.live(95)

    # Twice at first: one alone says nothing.
    assert machine.looks == [0, 2, 32, 62, 92]
    assert machine.unasked == []


@pytest.mark.parametrize(
    "risen",
    [Vitals(0.4, 0.5, 0.0), Vitals(0.1, 0.55, 0.0), Vitals(0.1, 0.5, 0.2)],
    ids=Vitals._fields,
)
def test_a_rise_is_looked_at_at_once_and_again_closer(risen: Vitals) -> None:
    machine = Machine()
    machine.live(50)

    machine.live(55, risen)

    assert machine.looked_since(50) == [50, 52]
    assert machine.unasked == [52]


def test_what_goes_on_rising_is_looked_at_with_each_tick() -> None:
    machine = Machine()
    machine.live(50)

    for step in range(1, 4):
        machine.live(50 + 5 * step, Vitals(0.1 + 0.3 * step, 0.5, 0.0))

    assert machine.looked_since(50) == [50, 52, 60]


def test_what_stays_high_is_looked_at_more_often_but_is_no_rise() -> None:
    machine = Machine(cost_s=0.001)
    machine.live(50)

    machine.live(300, Vitals(0.95, 0.5, 0.0))

    late = machine.looked_since(200)
    assert len(late) == pytest.approx(10, abs=1)
    assert len(machine.unasked) == 1


def test_the_hub_is_told_unasked_at_most_once_a_minute() -> None:
    machine = Machine()
    machine.live(50)

    # Up and down for five minutes.
    for _ in range(10):
        machine.live(machine.now_s + 10, Vitals(0.9, 0.5, 0.0))
        machine.live(machine.now_s + 20, Vitals(0.0, 0.5, 0.0))

    gaps = [b - a for a, b in zip(machine.unasked, machine.unasked[1:], strict=False)]
    assert len(machine.unasked) >= 3
    assert min(gaps) >= 60


@pytest.mark.parametrize("cost_s", [0.006, 0.05, 0.5])
def test_the_cost_is_bounded_and_frequency_pays_for_it(cost_s: float) -> None:
    machine = Machine(cost_s)
    hour = 3600

    # The worst that can be: it rises every half minute, for an hour.
    while machine.now_s < hour:
        machine.live(machine.now_s + 15, Vitals(0.95, 0.5, 0.0))
        machine.live(machine.now_s + 15, Vitals(0.0, 0.5, 0.0))

    spent_s = cost_s * len(machine.looks)
    assert spent_s <= hour * SHARE + SAVINGS_S + 2 * cost_s
    # It never stops looking.
    assert machine.looks[-1] > hour - 3 * cost_s / SHARE - 60


@pytest.mark.parametrize("cost_s", [0.04, 0.3])
def test_a_rise_finds_savings_after_some_quiet(cost_s: float) -> None:
    machine = Machine(cost_s)
    machine.live(3000)
    # Far more than its share, if it were looked at every half minute.
    assert len(machine.looks) < 70

    machine.live(3005, Vitals(0.9, 0.5, 0.0))

    assert machine.looked_since(3000) == [3000, 3002]


def test_the_second_look_does_not_wait_for_savings() -> None:
    machine = Machine(cost_s=0.045)

    machine.live(10)

    assert machine.looks == [0, 2]


def test_vitals_are_of_the_whole_machine_and_its_worst_pressure() -> None:
    readings = [
        Reading(CPU, 0.9, {"cpu.logical_number": "0"}),
        Reading(CPU, 0.5),
        Reading(CPU, 0.3, {"cpu.mode": "user"}),
        Reading(MEMORY, 0.25),
        Reading(SOME, 0.1, {"resource": "cpu"}),
        Reading(SOME, 0.4, {"resource": "io"}),
    ]

    assert vitals(readings) == Vitals(0.5, 0.25, 0.4)


def test_what_is_unknown_neither_rises_nor_is_high() -> None:
    machine = Machine()

    unknown = vitals([])
    assert all(map(math.isnan, unknown))
    machine.live(30, unknown)
    machine.live(40, CALM)

    assert machine.looks == [0, 2, 32]
