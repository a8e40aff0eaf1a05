from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.metric import Metric, Reading
from sysmonstm_agent.sampler import Sampler, fair
from sysmonstm_proto import limits

HEAT = Metric("system.temperature", "Cel", "How hot it is.")
NOISE = Metric("system.noise", "dB", "How loud it is.")


class Oven:
    """Hot, and the worst collector there can be when told to be."""

    name = "oven"
    metrics: tuple[Metric, ...] = (HEAT,)

    def __init__(self) -> None:
        self.trouble: Exception | None = None

    def collect(self, now_s: float) -> Iterator[Reading]:
        yield Reading(HEAT, 180, {"sensor": "top"})
        if self.trouble:
            raise self.trouble
        yield Reading(HEAT, 200, {"sensor": "bottom"})


class Fan:
    name = "fan"
    metrics: tuple[Metric, ...] = (NOISE,)

    def collect(self, now_s: float) -> Iterator[Reading]:
        yield Reading(NOISE, 40)


class Mounts:
    """Of them a machine may have very many."""

    name = "mounts"
    metrics: tuple[Metric, ...] = (HEAT,)

    def __init__(self, count: int) -> None:
        self.count = count

    def collect(self, now_s: float) -> Iterator[Reading]:
        for number in range(self.count):
            yield Reading(HEAT, number, {"sensor": str(number)})


def measured(sampler: Sampler) -> dict[str, float]:
    return {
        ".".join([metric.name.rpartition(".")[2], *attributes.values()]): value
        for metric, value, attributes in sampler.readings()
        if not metric.name.endswith("duration")
    }


def test_a_failing_collector_keeps_its_series_and_stops_no_other() -> None:
    oven = Oven()
    sampler = Sampler([oven, Fan()])
    before = measured(sampler)

    oven.trouble = ZeroDivisionError("a bug")
    after = measured(sampler)

    assert before == {
        "success.oven": 1,
        "success.fan": 1,
        "temperature.top": 180,
        "temperature.bottom": 200,
        "noise": 40,
    }
    assert after.keys() == before.keys()
    assert (after["success.oven"], after["success.fan"], after["noise"]) == (0, 1, 40)
    # Half of a collector's readings are none.
    assert math.isnan(after["temperature.top"])
    assert math.isnan(after["temperature.bottom"])


def test_a_failure_leaves_the_layout_as_it_is() -> None:
    oven = Oven()
    sampler = Sampler([oven, Fan()])
    before = sampler.sample()

    oven.trouble = OSError(5, "Input/output error")

    assert sampler.sample().layout is before.layout


def test_a_failure_is_logged_once_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    oven = Oven()
    sampler = Sampler([oven])

    oven.trouble = RuntimeError("broken")
    for _ in range(3):
        sampler.readings()
    oven.trouble = None
    for _ in range(3):
        sampler.readings()

    events = [record.message for record in caplog.records]
    assert events == ["collector.failed", "collector.recovered"]
    assert "broken" in caplog.text


def test_a_machine_without_it_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    oven = Oven()
    sampler = Sampler([oven])
    sampler.readings()

    oven.trouble = NoData("no oven")

    assert measured(sampler) == {"success.oven": 1}
    assert not caplog.records


def test_each_collector_is_timed() -> None:
    times = iter([10.0, 10.5, 20.0, 20.25])
    sampler = Sampler([Oven(), Fan()], clock=lambda: next(times))

    durations = {
        reading.attributes["collector"]: reading.value
        for reading in sampler.readings()
        if reading.metric.name == "sysmonstm.agent.collector.duration"
    }

    assert durations == {"oven": 0.5, "fan": 0.25}


def test_a_sample_has_the_time_of_the_wall() -> None:
    sampler = Sampler([Fan()], wall=lambda: 1_700_000_000.5)

    assert sampler.sample().time_unix_ms == 1_700_000_000_500


class Meter:
    """Counts its runs; what it shows is how many there were."""

    metrics: tuple[Metric, ...] = (NOISE,)

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs = 0

    def collect(self, now_s: float) -> Iterator[Reading]:
        self.runs += 1
        yield Reading(NOISE, self.runs if self.runs > 1 else math.nan, {"m": self.name})


def test_collectors_that_stay_keep_what_they_know_and_new_ones_have_run_once() -> None:
    stays, goes = Meter("stays"), Meter("goes")
    sampler = Sampler([stays, goes])
    sampler.readings()

    sampler.change([Meter("stays"), Meter("comes")])

    found = measured(sampler)
    assert found == {
        "success.stays": 1,
        "success.comes": 1,
        "noise.stays": 2,
        # A number at once, and not only in the tick after.
        "noise.comes": 2,
    }
    assert set(sampler.states) == {"stays", "comes"}


def test_a_collector_that_measures_others_now_is_another() -> None:
    old, new = Meter("disk"), Meter("disk")
    sampler = Sampler([old])
    sampler.readings()

    sampler.change([new], anew={"disk"})
    sampler.readings()

    assert (old.runs, new.runs) == (1, 2)


def test_how_each_does_can_be_asked() -> None:
    oven = Oven()
    sampler = Sampler([oven, Fan()])
    oven.trouble = RuntimeError("broken\nin two \x1b[31m")

    sampler.readings()

    assert sampler.states["oven"].failure == "RuntimeError: broken in two  [31m"
    assert sampler.states["fan"].failure == ""
    assert sampler.states["fan"].duration_s > 0


def test_too_many_series_of_one_collector_hide_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mounts = Mounts(2_500)
    sampler = Sampler([mounts, Oven(), Fan()])

    readings = measured(sampler)
    sampler.readings()

    assert (readings["noise"], readings["temperature.bottom"]) == (40, 200)
    assert readings["temperature.0"] == 0
    # Six tell of the collectors, three are of others, three may be told to be cut.
    assert readings["omitted.mounts"] == 2_500 - (limits.MAX_SERIES - 12)
    assert len(sampler.readings()) <= limits.MAX_SERIES
    (record,) = caplog.records
    assert (record.message, record.__dict__["fields"]) == (
        "series.too_many",
        {"most": 2_000, "omitted": {"mounts": 512}},
    )

    mounts.count = 5
    assert "omitted.mounts" not in measured(sampler)


def test_room_is_shared_by_those_who_need_more_than_their_part() -> None:
    assert fair([3, 100, 2, 100], 45) == 20
    assert fair([3, 2], 45) >= 3
    assert fair([50, 50], 7) == 3
    assert fair([50, 50, 50], 2) == 0
