"""GPUs, from a stand-in for NVIDIA's library; and the real one without a driver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sysmonstm_agent.background import Overdue
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.collectors.gpu import Gpus, nvml
from sysmonstm_agent.files import Files

from tests.patience import PATIENCE_S
from tests.test_values import spell


class NvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


NOT_SUPPORTED, GPU_IS_LOST = 3, 15
H200 = {
    "Name": "NVIDIA H200",
    "UtilizationRates": SimpleNamespace(gpu=37, memory=12),
    "MemoryInfo": SimpleNamespace(total=150_754_820_096, used=1_507_548_200),
    "Temperature": 41,
    "PowerUsage": 119_850,
}
# A small one without a sensor of power, from a library that speaks in bytes.
GT_710 = {
    "Name": b"NVIDIA GeForce GT 710",
    "UtilizationRates": NvmlError(NOT_SUPPORTED),
    "MemoryInfo": SimpleNamespace(total=2_147_483_648, used=536_870_912),
    "Temperature": 55,
    "PowerUsage": NvmlError(NOT_SUPPORTED),
}


class Library:
    """As `pynvml` is: functions, constants, and an error with a number."""

    NVMLError = NvmlError
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_DRIVER_NOT_LOADED = 9
    NVML_ERROR_NO_PERMISSION = 4
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *gpus: dict[str, Any]) -> None:
        self.gpus = gpus
        self.trouble: NvmlError | None = None
        self.free = threading.Event()
        self.free.set()
        self.started = 0

    def nvmlInit(self) -> None:
        self.started += 1
        if self.trouble:
            raise self.trouble

    def nvmlDeviceGetCount(self) -> int:
        self.free.wait(PATIENCE_S)
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def __getattr__(self, name: str) -> Callable[..., Any]:
        what = name.removeprefix("nvmlDeviceGet")
        if what not in H200:
            raise AttributeError(name)

        def answer(handle: int, *rest: Any) -> Any:
            value = self.gpus[handle][what]
            if isinstance(value, Exception):
                raise value
            return value

        return answer


def gpus(library: Library, *, patience_s: float = PATIENCE_S) -> Gpus:
    return Gpus(Files(), load=lambda: library, every_s=5, patience_s=patience_s)


def test_gpus_tell_what_they_know() -> None:
    collector = gpus(Library(H200, GT_710))

    readings = {spell(r): r.value for r in collector.collect(100.0)}

    assert readings == pytest.approx(
        {
            "sysmonstm.agent.collector.age{gpu}": 0,
            "hw.gpu.utilization{0,NVIDIA H200,gpu}": 0.37,
            "hw.gpu.memory.usage{0,NVIDIA H200,gpu}": 1_507_548_200,
            "hw.gpu.memory.limit{0,NVIDIA H200,gpu}": 150_754_820_096,
            "hw.gpu.memory.utilization{0,NVIDIA H200,gpu}": 0.01,
            "hw.temperature{0,NVIDIA H200,gpu}": 41,
            "hw.power{0,NVIDIA H200,gpu}": 119.85,
            "hw.gpu.memory.usage{1,NVIDIA GeForce GT 710,gpu}": 536_870_912,
            "hw.gpu.memory.limit{1,NVIDIA GeForce GT 710,gpu}": 2_147_483_648,
            "hw.gpu.memory.utilization{1,NVIDIA GeForce GT 710,gpu}": 0.25,
            "hw.temperature{1,NVIDIA GeForce GT 710,gpu}": 55,
        },
        rel=1e-4,
    )


def test_the_library_is_started_once() -> None:
    library = Library(H200)
    collector = gpus(library)

    for now_s in (100.0, 105.0, 110.0):
        list(collector.collect(now_s))

    assert library.started == 1


@pytest.mark.parametrize("error", [12, 9, 4])
def test_without_a_driver_there_are_no_gpus(error: int) -> None:
    library = Library(H200)
    library.trouble = NvmlError(error)

    with pytest.raises(NoData, match="no NVIDIA driver"):
        list(gpus(library).collect(100.0))


def test_a_driver_without_gpus_is_nothing() -> None:
    with pytest.raises(NoData, match="no GPUs"):
        list(gpus(Library()).collect(100.0))


def test_a_driver_that_fails_is_a_failure_and_may_recover() -> None:
    library = Library(H200)
    library.trouble = NvmlError(GPU_IS_LOST)
    collector = gpus(library)
    with pytest.raises(NvmlError):
        list(collector.collect(100.0))
    library.trouble = None

    assert len(list(collector.collect(105.0))) == 7


def test_a_driver_that_hangs_costs_no_tick_its_time() -> None:
    library = Library(H200)
    collector = gpus(library, patience_s=1)
    list(collector.collect(100.0))
    library.free.clear()
    list(collector.collect(105.0))  # Finds out.

    began_s = time.monotonic()
    (age, *_) = collector.collect(110.0)
    took_s = time.monotonic() - began_s

    assert took_s < 1
    assert age.value == 10
    with pytest.raises(Overdue):
        list(collector.collect(120.0))
    library.free.set()


def test_nvidias_own_library_without_a_driver() -> None:
    pynvml = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        load = nvml()
        with pytest.raises(NoData, match="no NVIDIA driver"):
            list(Gpus(Files(), load=load, patience_s=PATIENCE_S).collect(100.0))
    else:
        count = pynvml.nvmlDeviceGetCount()
        readings = list(
            Gpus(Files(), load=nvml(), patience_s=PATIENCE_S).collect(100.0)
        )
        limits = [r for r in readings if r.metric.name == "hw.gpu.memory.limit"]
        assert len(limits) == count
