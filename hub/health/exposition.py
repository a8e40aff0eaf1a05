"""The numbers of all processes of the hub as one answer to Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import orjson
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from hub import metrics
from hub.health.figures import Figures, recent
from hub.health.shelf import PREFIX, ShelfDown, get_shelf
from hub.log import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the hub, as it described itself a moment ago."""

    role: str
    place: str
    text: str
    figures: Figures


class Families(Collector):
    """The families of several processes, merged; each sample says whose it is."""

    def __init__(self, processes: Iterable[Process]) -> None:
        self._merged: dict[str, Metric] = {}
        for process in processes:
            whose = {"process": process.role, "place": process.place}
            for family in text_string_to_metric_families(process.text):
                self._add(family, whose)

    def collect(self) -> Iterable[Metric]:
        return self._merged.values()

    def _add(self, family: Metric, whose: dict[str, str]) -> None:
        samples = [one._replace(labels=one.labels | whose) for one in family.samples]
        kept = self._merged.setdefault(family.name, family)
        kept.samples = samples if kept is family else kept.samples + samples


def exposition() -> bytes:
    """Return every process's numbers in Prometheus' text format."""
    return generate_latest(Families(processes()))


def processes() -> list[Process]:
    """Return this process first, then those that shared their numbers."""
    own = Process(
        metrics.Role.name,
        metrics.Role.place,
        generate_latest(metrics.registry).decode(),
        recent.figures(),
    )
    return [own, *(one for one in _shared() if one.place != own.place)]


def _shared() -> list[Process]:
    try:
        kept = get_shelf().read()
    except ShelfDown as down:
        log.warning("metrics.unread", error=str(down))
        return []
    found = []
    for name, content in sorted(kept.items()):
        if name.startswith(PREFIX):
            try:
                found.append(Process(**orjson.loads(content)))
            except (orjson.JSONDecodeError, TypeError):
                # Of another version, during an update.
                log.info("metrics.unreadable", name=name)
    return found
