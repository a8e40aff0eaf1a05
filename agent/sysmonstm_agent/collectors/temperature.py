"""Temperatures, from hwmon; from thermal zones where there is no hwmon."""

from __future__ import annotations

from collections.abc import Iterator

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.files import Files, read
from sysmonstm_agent.metric import NAN, Metric, Reading

TEMPERATURE = Metric("system.temperature", "Cel", "What a sensor reads.")

# Looking for sensors costs ten times what reading them does, and they seldom
# come and go.
REDISCOVER_S = 60.0


class Temperature:
    name = "temperature"
    metrics = (TEMPERATURE,)

    def __init__(self, files: Files) -> None:
        self._files = files
        self._sensors: dict[str, str] = {}
        self._discovered_s = float("-inf")

    def collect(self, now_s: float) -> Iterator[Reading]:
        if now_s - self._discovered_s >= REDISCOVER_S:
            self._discovered_s = now_s
            found = [*self._hwmon()] or [*self._thermal_zones()]
            self._sensors = unique(found)
        if not self._sensors:
            raise NoData("no sensors")
        for sensor, path in self._sensors.items():
            yield Reading(TEMPERATURE, celsius(path), {"sensor": sensor})

    def _hwmon(self) -> Iterator[tuple[str, str]]:
        for folder in self._files.sys_names("class/hwmon"):
            place = f"class/hwmon/{folder}"
            names = self._files.sys_names(place)
            for name in names:
                if not (name.startswith("temp") and name.endswith("_input")):
                    continue
                sensor = name.removesuffix("_input")
                chip = self._text(f"{place}/name", folder)
                label = self._text(f"{place}/{sensor}_label", sensor)
                yield f"{chip} {label}", f"{self._files.sys_root}/{place}/{name}"

    def _thermal_zones(self) -> Iterator[tuple[str, str]]:
        for folder in self._files.sys_names("class/thermal"):
            if folder.startswith("thermal_zone"):
                place = f"class/thermal/{folder}"
                path = f"{self._files.sys_root}/{place}/temp"
                yield self._text(f"{place}/type", folder), path

    def _text(self, name: str, default: str) -> str:
        try:
            return self._files.sys(name).strip() or default
        except NoData:
            return default


def unique(sensors: list[tuple[str, str]]) -> dict[str, str]:
    """Number the second and later sensors of one name: two disks of one make."""
    paths: dict[str, str] = {}
    for name, path in sensors:
        number, free = 1, name
        while free in paths:
            number += 1
            free = f"{name} {number}"
        paths[free] = path
    return paths


def celsius(path: str) -> float:
    try:
        return int(read(path)) / 1000
    # A sensor may be asleep, unplugged, or answer with nothing.
    except (NoData, OSError, ValueError):
        return NAN
