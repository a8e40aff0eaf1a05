"""What a number means, kept next to the number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

NAN = float("nan")
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Metric:
    """A described quantity, named as OpenTelemetry names it; `unit` is UCUM."""

    name: str
    unit: str
    help: str
    kind: Literal["gauge", "counter"] = "gauge"


class Series(NamedTuple):
    """One metric with its attributes, as (key, value) pairs."""

    metric: Metric
    attributes: tuple[tuple[str, str], ...] = ()


class Reading(NamedTuple):
    """One number. NaN = there is such a series, but no number for it now."""

    metric: Metric
    value: float
    attributes: Mapping[str, str] = NO_ATTRIBUTES

    @property
    def series(self) -> Series:
        return Series(self.metric, tuple(self.attributes.items()))
