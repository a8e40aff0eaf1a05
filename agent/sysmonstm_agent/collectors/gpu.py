"""NVIDIA GPUs, through NVIDIA's own library where it is installed.

    pip install sysmonstm-agent[gpu]

A driver that hangs hangs its caller: it is asked on a thread of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sysmonstm_agent.background import AGE, Background
from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files
from sysmonstm_agent.hardware import TEMPERATURE
from sysmonstm_agent.metric import NAN, Metric, Reading

UTILIZATION = Metric(
    "hw.gpu.utilization", "1", "Share of time in which the GPU had work to do."
)
MEMORY_USAGE = Metric("hw.gpu.memory.usage", "By", "The GPU's memory that is taken.")
MEMORY_LIMIT = Metric("hw.gpu.memory.limit", "By", "The memory that the GPU has.")
MEMORY_UTILIZATION = Metric(
    "hw.gpu.memory.utilization", "1", "Share of the GPU's memory that is taken."
)
POWER = Metric("hw.power", "W", "What the GPU draws.")

EVERY_S = 1.0
# A driver that answers at all does so in a few milliseconds.
OVERDUE_S = 15.0
MAX_GPUS = 32


class Gpu(NamedTuple):
    """NaN = the GPU does not tell."""

    id: str
    name: str
    utilization: float
    memory_used: float
    memory_total: float
    temperature: float
    power_w: float


class Gpus:
    name = "gpu"
    metrics = (
        *(AGE, UTILIZATION, MEMORY_USAGE, MEMORY_LIMIT, MEMORY_UTILIZATION),
        *(TEMPERATURE, POWER),
    )

    def __init__(
        self,
        files: Files,
        *,
        load: Callable[[], Any] | None = None,
        every_s: float = EVERY_S,
        patience_s: float = 0.1,
    ) -> None:
        """`load` returns NVML, or raises NoData; None: there is none."""
        self._looking = None
        if load is not None:
            self._looking = files.looks.get(
                self.name,
                lambda: Background[list[Gpu]](
                    Nvml(load).gpus,
                    name=self.name,
                    every_s=every_s,
                    patience_s=patience_s,
                    overdue_s=OVERDUE_S,
                ),
            )

    def collect(self, now_s: float) -> Iterator[Reading]:
        if self._looking is None:
            raise NoData("no library for GPUs")
        gpus, age_s = self._looking.newest(now_s)
        yield Reading(AGE, age_s, {"collector": self.name})
        for gpu in gpus:
            yield from readings(gpu)


def nvml() -> Callable[[], Any] | None:
    """Return how to load NVIDIA's library; None where it is not installed."""
    return load_nvml if importlib.util.find_spec("pynvml") else None


def load_nvml() -> Any:
    import pynvml

    return pynvml


class Nvml:
    """Belongs to the thread that looks: whoever it is, one at a time."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._library: Any = None

    def gpus(self) -> list[Gpu]:
        """Raises NoData where there is no driver, NVMLError where it fails."""
        library = self._library or self._start()
        count = min(library.nvmlDeviceGetCount(), MAX_GPUS)
        if not count:
            raise NoData("no GPUs")
        return [gpu(library, number) for number in range(count)]

    def _start(self) -> Any:
        library = self._load()
        try:
            library.nvmlInit()
        except library.NVMLError as error:
            absent = (
                library.NVML_ERROR_LIBRARY_NOT_FOUND,
                library.NVML_ERROR_DRIVER_NOT_LOADED,
                library.NVML_ERROR_NO_PERMISSION,
            )
            if error.value in absent:
                raise NoData("no NVIDIA driver") from None
            raise
        self._library = library
        return library


def gpu(library: Any, number: int) -> Gpu:
    handle = library.nvmlDeviceGetHandleByIndex(number)

    def ask(read: Callable[[], Any]) -> float:
        # Each model leaves out something else: power, or while it is split (MIG)
        # its utilization.
        with contextlib.suppress(library.NVMLError):
            return float(read())
        return NAN

    name = library.nvmlDeviceGetName(handle)
    return Gpu(
        id=str(number),
        # Older libraries say it in bytes.
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name),
        utilization=ask(lambda: library.nvmlDeviceGetUtilizationRates(handle).gpu)
        / 100,
        memory_used=ask(lambda: library.nvmlDeviceGetMemoryInfo(handle).used),
        memory_total=ask(lambda: library.nvmlDeviceGetMemoryInfo(handle).total),
        temperature=ask(
            lambda: library.nvmlDeviceGetTemperature(
                handle, library.NVML_TEMPERATURE_GPU
            )
        ),
        # In milliwatts.
        power_w=ask(lambda: library.nvmlDeviceGetPowerUsage(handle)) / 1000,
    )


def readings(gpu: Gpu) -> Iterator[Reading]:
    place = {"hw.id": gpu.id, "hw.name": gpu.name, "hw.type": "gpu"}
    share = gpu.memory_used / gpu.memory_total if gpu.memory_total else NAN
    told = (
        (UTILIZATION, gpu.utilization),
        (MEMORY_USAGE, gpu.memory_used),
        (MEMORY_LIMIT, gpu.memory_total),
        (MEMORY_UTILIZATION, share),
        (TEMPERATURE, gpu.temperature),
        (POWER, gpu.power_w),
    )
    for metric, value in told:
        if value == value:
            yield Reading(metric, value, place)
