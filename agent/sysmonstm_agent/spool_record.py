"""What the disk spool writes of a sample, and how it knows it again.

Every record carries a checksum: SQLite notices a page that makes no sense, but not
a number that has become another one.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import NamedTuple

from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.metric import Metric, Series

PAGE_BYTES = 4096
# A page's own header; and of a record, beside its values: the numbers and lengths.
PAGE_HEADER_BYTES = 16
RECORD_BYTES = 32
# Longer records spill over into pages of their own, which begin with a link.
SPILL_BYTES = PAGE_BYTES - 64


class Damaged(Exception):
    """It is not what was written."""


class Record(NamedTuple):
    """A row of the table `sample`. Without content: the sample is lost, counted."""

    sequence: int
    time_unix_ms: int
    layout: int
    clock_s: int
    content: bytes | None
    checksum: int

    @property
    def sound(self) -> bool:
        try:
            return self.checksum == self._replace(checksum=0)._sum()
        except (TypeError, ValueError, struct.error):
            return False

    def _sum(self) -> int:
        numbers = struct.pack("<qqq", self.time_unix_ms, self.layout, self.clock_s)
        mark = b"" if self.content is None else b"+" + self.content
        # The sequence number is added, so that SQL can renumber.
        return zlib.crc32(mark, zlib.crc32(numbers)) + self.sequence


def record(sequence: int, sample: Sample, *, layout: int, clock_s: int) -> Record:
    bare = Record(sequence, sample.time_unix_ms, layout, clock_s, sample.values, 0)
    return bare._replace(checksum=bare._sum())


def gravestone(sequence: int, *, clock_s: int) -> Record:
    """Return what stands where a sample was lost, so that it is counted once."""
    bare = Record(sequence, 0, 0, clock_s, None, 0)
    return bare._replace(checksum=bare._sum())


def cost_bytes(length: int) -> int:
    """Return the disk space that a record of so long a content takes, at most.

    A page holds whole records; what is left of it is paid by those in it.
    """
    needed = length + RECORD_BYTES
    if needed > SPILL_BYTES:
        return PAGE_BYTES * (1 + -(-needed // SPILL_BYTES))
    return PAGE_BYTES // ((PAGE_BYTES - PAGE_HEADER_BYTES) // needed)


def checksum(*values: object) -> int:
    return zlib.crc32(repr(values).encode())


def pack_layout(layout: Layout) -> bytes:
    metrics: dict[Metric, int] = {}
    series = [
        [metrics.setdefault(metric, len(metrics)), attributes]
        for metric, attributes in layout.series
    ]
    described = [[m.name, m.unit, m.help, m.kind] for m in metrics]
    text = json.dumps([described, series], separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode())


def unpack_layout(body: bytes) -> Layout:
    described, series = json.loads(zlib.decompress(body))
    metrics = [Metric(*fields) for fields in described]
    return Layout(
        tuple(
            Series(metrics[number], tuple((key, value) for key, value in attributes))
            for number, attributes in series
        )
    )
