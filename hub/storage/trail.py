"""The last hour of every machine's CPU, small enough to draw a thousand at once.

A minute is one string with two bytes for each machine, at twice its number: 0 = no
reading, else the ratio in 65,534 steps. An hour of a thousand machines is 60 short
strings, whatever holds them.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from hub.storage import kept_layouts
from hub.storage.sample import StoredSample
from hub.storage.summary import plan

MINUTES = 60
# Machines with a higher number have no trail: 12 MB is enough for an ornament.
MAX_MACHINE = 100_000
STEPS = 65_534

Trail = list[float | None]


class Minutes:
    """Folds samples into the mean of each machine's minute so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Per machine: its minute, the sum and the count of its readings.
        self._open: dict[int, tuple[int, float, int]] = {}

    def add(self, samples: Iterable[StoredSample]) -> dict[tuple[int, int], bytes]:
        """Return (minute, machine) → the two bytes that stand for it now.

        A sample of an earlier minute than the machine's newest is left out.
        """
        marks = {}
        with self._lock:
            for sample in samples:
                cpu = _cpu(sample)
                if cpu is None or sample.machine >= MAX_MACHINE:
                    continue
                minute = sample.time_ms // 60_000
                began, total, count = self._open.get(sample.machine, (minute, 0.0, 0))
                if minute < began:
                    continue
                if minute > began:
                    total, count = 0.0, 0
                total, count = total + cpu, count + 1
                self._open[sample.machine] = minute, total, count
                marks[minute, sample.machine] = _mark(total / count)
        return marks


def minutes_until(now_s: float) -> range:
    """Return the numbers of the last hour's minutes, ascending."""
    now = int(now_s // 60)
    return range(now - MINUTES + 1, now + 1)


def draw(pks: Sequence[int], strings: Sequence[bytes]) -> Mapping[int, Trail]:
    """Return a trail for each machine from its minutes' strings."""
    drawn = [pk for pk in pks if 0 < pk < MAX_MACHINE]
    size = 2 * (max(drawn, default=0) + 1)
    joined = b"".join(string[:size].ljust(size, b"\0") for string in strings)
    marks = np.frombuffer(joined, "<u2").reshape(len(strings), size // 2)[:, drawn].T
    ratios = np.round((marks - 1.0) / STEPS, 3).astype(object)
    ratios[marks == 0] = None
    return dict(zip(drawn, ratios.tolist(), strict=True))


def _cpu(sample: StoredSample) -> float | None:
    # Never a query: whoever wrote the sample has learnt its layout.
    layout = kept_layouts.cached(sample.layout)
    place = plan(layout).cpu if layout is not None else None
    if place is None:
        return None
    (value,) = struct.unpack_from("<f", sample.values, 4 * place)
    return value if value == value else None


def _mark(ratio: float) -> bytes:
    return (1 + round(min(max(ratio, 0.0), 1.0) * STEPS)).to_bytes(2, "little")
