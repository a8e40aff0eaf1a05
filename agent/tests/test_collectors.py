"""What every collector must keep to, on every machine there is a fixture of."""

from __future__ import annotations

import math
import re
import time

import pytest
from sysmonstm_agent.collector import Collector, NoData
from sysmonstm_agent.collectors.cpu import Cpu
from sysmonstm_agent.collectors.filesystem import Filesystem
from sysmonstm_agent.files import Files
from sysmonstm_agent.metric import Reading
from sysmonstm_agent.registry import collectors
from sysmonstm_proto import limits

from tests.conftest import Moving, Statvfs, machine

UNITS = {"1", "By", "By/s", "s", "Cel", "W"}
# Without their sources, and on most machines, there is none of these.
EXTRA = {"containers", "systemd", "gpu", "smart", "textfile"}
# On any machine these may have nothing to read from.
OPTIONAL = EXTRA | {
    *("swap", "pressure", "connections", "temperature", "disk", "network")
}


def all_of(files: Files, statvfs: Statvfs) -> list[Collector]:
    """Return the registry's collectors; file systems are those of the fixture."""
    return [
        Filesystem(files, statvfs=statvfs) if one.name == "filesystem" else one
        for one in collectors(files)
    ]


def names() -> list[str]:
    return [one.name for one in collectors(machine("web"))]


def twice(collector: Collector, files: Moving) -> list[Reading]:
    """Collect as the sampler does, 5 s apart, so that rates exist."""
    try:
        list(collector.collect(100.0))
        files.let_time_pass()
        return list(collector.collect(105.0))
    except NoData:
        assert collector.name in OPTIONAL
        return []


class Here(Moving):
    """The machine that runs the test."""

    def let_time_pass(self) -> None:
        # The kernel counts processor time in hundredths of a second.
        time.sleep(0.05)


@pytest.fixture(params=["web", "old", "this machine", "psutil"])
def files(request: pytest.FixtureRequest) -> Moving:
    if request.param == "this machine":
        return Here()
    if request.param == "psutil":
        return Here(linux=False)
    return machine(request.param)


@pytest.mark.parametrize("name", names())
def test_readings_keep_to_what_is_declared(
    files: Moving, statvfs: Statvfs, name: str
) -> None:
    (collector,) = (one for one in all_of(files, statvfs) if one.name == name)

    readings = twice(collector, files)

    assert {reading.metric for reading in readings} <= set(collector.metrics)
    series = [reading.series for reading in readings]
    assert len(set(series)) == len(series)
    for metric, value, attributes in readings:
        label = f"{metric.name} {dict(attributes)}"
        # A sensor may have nothing to say; nothing else may.
        assert math.isfinite(value) or metric.unit == "Cel", label
        assert not value < 0 or metric.unit == "Cel", label
        if metric.unit == "1":
            assert value <= 1, label


@pytest.mark.parametrize("name", names())
def test_the_first_tick_has_the_series_of_the_second(
    files: Moving, statvfs: Statvfs, name: str
) -> None:
    (collector,) = (one for one in all_of(files, statvfs) if one.name == name)
    try:
        first = [reading.series for reading in collector.collect(100.0)]
    except NoData:
        first = []

    assert [reading.series for reading in twice(collector, files)] == first


def test_metrics_are_described_within_the_bounds_of_the_wire() -> None:
    # Some are shared: how warm a disk or a GPU is.
    metrics = {m for one in collectors(machine("web")) for m in one.metrics}

    assert len({metric.name for metric in metrics}) == len(metrics)
    for metric in metrics:
        assert re.fullmatch(
            r"(system|container|systemd|hw|sysmonstm)(\.[a-z0-9_]+)+", metric.name
        )
        assert len(metric.name) <= limits.MAX_TEXT_BYTES
        assert len(metric.help) <= limits.MAX_HELP_BYTES
        assert metric.help.endswith(".")
        assert metric.unit in UNITS or re.fullmatch(r"\{[a-z]+\}(/s)?", metric.unit)


def test_collectors_have_names_of_their_own() -> None:
    assert len(set(names())) == len(names())


def test_a_machine_has_what_it_has_and_nothing_else(statvfs: Statvfs) -> None:
    old = machine("old")

    silent = {one.name for one in all_of(old, statvfs) if not twice(one, old)}

    assert silent == {"swap", "pressure"} | EXTRA


def test_counters_that_begin_again_give_no_rate_and_no_spike(
    web: Moving, statvfs: Statvfs
) -> None:
    rated = {"cpu", "disk", "network"}
    chosen = [one for one in all_of(web, statvfs) if one.name in rated]
    for one in chosen:
        list(one.collect(100.0))
    web.become("web-reset")

    readings = [reading for one in chosen for reading in one.collect(105.0)]

    numbers = [r for r in readings if math.isfinite(r.value)]
    assert [r.metric.name for r in numbers] == ["system.cpu.logical.count"]
    # From here on there is a base to count from again.
    again = [reading for one in chosen for reading in one.collect(110.0)]
    still = [r for r in again if not math.isfinite(r.value)]
    assert {r.metric.name for r in still} == {"system.cpu.utilization"}


def test_a_core_that_is_switched_off_takes_its_series_along(web: Moving) -> None:
    cpu = Cpu(web)
    list(cpu.collect(100.0))
    web.become("old")

    cores = [r.attributes.get("cpu.logical_number") for r in cpu.collect(105.0)]

    assert [core for core in cores if core] == ["0"]
