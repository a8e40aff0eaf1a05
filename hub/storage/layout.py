"""What a layout says: which series the places of a vector belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class SeriesInfo:
    """One metric with its attributes, sorted by key."""

    metric: str
    unit: str
    kind: str
    help: str
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        return self.metric, self.attributes


@dataclass(frozen=True)
class LayoutInfo:
    """The series of a layout, in the order of its vectors."""

    id: int
    series: tuple[SeriesInfo, ...]

    def index(self, metric: str, **attributes: str) -> int | None:
        """Return the place of exactly this series, if the layout has it.

        Attributes whose names have dots are given as `**{"cpu.mode": "user"}`.
        """
        return self._places.get((metric, tuple(sorted(attributes.items()))))

    def matching(self, metric: str, attributes: Mapping[str, str]) -> list[int]:
        """Return the places of all series with at least these attributes."""
        wanted = attributes.items()
        return [
            place
            for place, series in enumerate(self.series)
            if series.metric == metric and wanted <= dict(series.attributes).items()
        ]

    @cached_property
    def _places(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], int]:
        return {series.identity: place for place, series in enumerate(self.series)}


def described(series: Sequence[SeriesInfo]) -> bytes:
    """Return all that a layout says; `read` is the way back."""
    content = [[s.metric, s.unit, s.kind, s.help, s.attributes] for s in series]
    return json.dumps(content).encode()


def read(description: bytes) -> tuple[SeriesInfo, ...]:
    """Return the series of a description. Raises ValueError."""
    try:
        return tuple(
            SeriesInfo(metric, unit, kind, told, tuple((k, v) for k, v in attributes))
            for metric, unit, kind, told, attributes in json.loads(description)
        )
    except TypeError as wrong:
        raise ValueError("that describes no layout") from wrong


def digest_of(description: bytes) -> bytes:
    return hashlib.sha256(description).digest()
