"""Readings become a vector over an ordered list of series."""

from __future__ import annotations

import math
import sys
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sysmonstm_proto import limits

from sysmonstm_agent.log import log
from sysmonstm_agent.metric import NAN, Metric, Reading, Series

# What a layout may weigh on the wire, with room to spare for the framing.
MAX_LAYOUT_BYTES = limits.MAX_MESSAGE_BYTES // 2


@dataclass(frozen=True)
class Layout:
    """An ordered list of series, within the bounds of the wire."""

    series: tuple[Series, ...]


class Sample(NamedTuple):
    """One tick: little-endian float32s, one for each series of the layout."""

    time_unix_ms: int
    layout: Layout
    values: bytes


class Layouts:
    """Keeps one layout for as long as the set of series stays the same."""

    def __init__(self) -> None:
        self._layout = Layout(())
        # What was read in the tick before, and where the layout's values are in it.
        self._metrics: list[Metric] = []
        self._attributes: list[Mapping[str, str]] = []
        self._places: list[int] = []
        # The series as they were read, before their texts were cut to size.
        self._all: frozenset[Series] = frozenset()
        self._kept: tuple[Series, ...] = ()

    def arrange(self, readings: Sequence[Reading]) -> tuple[Layout, bytes]:
        # Most often they are of the same series as before in the same order, which
        # is seen in a tenth of the time that finding each takes.
        metrics = [reading[0] for reading in readings]
        attributes = [reading[2] for reading in readings]
        if metrics != self._metrics or attributes != self._attributes:
            self._find(readings)
        self._metrics, self._attributes = metrics, attributes
        return self._layout, pack([readings[place].value for place in self._places])

    def _find(self, readings: Sequence[Reading]) -> None:
        places = {reading.series: n for n, reading in enumerate(readings)}
        if places.keys() != self._all:
            self._renew(places)
            self._kept = tuple(places)[: len(self._layout.series)]
        self._places = [places[series] for series in self._kept]

    def _renew(self, values: Mapping[Series, int]) -> None:
        self._all = frozenset(values)
        fitting: list[Series] = []
        size = 0
        for series in list(values)[: limits.MAX_SERIES]:
            cut_series = within_bounds(series)
            size += weight(cut_series)
            if size > MAX_LAYOUT_BYTES:
                break
            fitting.append(cut_series)
        self._layout = Layout(tuple(fitting))
        log.debug("layout.new", series=len(fitting))
        if dropped := len(values) - len(fitting):
            log.warning("layout.overflow", dropped=dropped)


def pack(values: list[float]) -> bytes:
    # Infinity is as little of a reading as NaN is.
    vector = array("f", [v if math.isfinite(v) else NAN for v in values])
    if sys.byteorder == "big":
        vector.byteswap()
    return vector.tobytes()


def within_bounds(series: Series) -> Series:
    """Cut attributes to what the wire takes: a mount point may be 4,096 bytes."""
    attributes = series.attributes[: limits.MAX_ATTRIBUTES]
    return Series(series.metric, tuple((cut(k), cut(v)) for k, v in attributes))


def cut(text: str) -> str:
    """Return the text if it fits, else its beginning and a mark of the whole."""
    # Names of files may hold line breaks, and bytes that are no UTF-8.
    raw = b"".join(map(spell, text)) if not text.isprintable() else text.encode()
    if len(raw) > limits.MAX_TEXT_BYTES:
        # Two long texts with one beginning must not become one series.
        mark = f"…{zlib.crc32(raw):08x}"
        raw = raw[: limits.MAX_TEXT_BYTES - len(mark.encode())]
        return raw.decode("utf-8", "ignore") + mark
    return raw.decode()


def spell(character: str) -> bytes:
    escaped = not character.isprintable()
    return character.encode("unicode_escape" if escaped else "utf-8")


def weight(series: Series) -> int:
    # About: a key and a value are framed by four bytes and more. Metrics are
    # sent once and are few; what is left of the message is for them.
    return 8 + sum(len(f"{k}{v}".encode()) + 8 for k, v in series.attributes)
