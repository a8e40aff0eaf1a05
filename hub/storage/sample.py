"""A sample as it travels inside the hub, and as bytes between processes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

_VERSION = 1
_HEAD = struct.Struct("<BI")
# machine, layout, sequence, time_ms, received_ms, bytes of values
_ITEM = struct.Struct("<iiqqqI")


class StoredSample(NamedTuple):
    """One tick of one machine; a tuple, for there is one for each message."""

    # Primary keys of Machine and Layout.
    machine: int
    layout: int
    sequence: int
    # Unix milliseconds: by the agent's clock, and by the hub's.
    time_ms: int
    received_ms: int
    # Little-endian float32s in the order of the layout. NaN = no reading.
    values: bytes


def pack(samples: Sequence[StoredSample]) -> bytes:
    """Return samples as one message, in their order."""
    parts = [_HEAD.pack(_VERSION, len(samples))]
    item = _ITEM.pack
    for *numbers, values in samples:
        parts += (item(*numbers, len(values)), values)
    return b"".join(parts)


def unpack(message: bytes) -> list[StoredSample]:
    """Return the samples of one message.

    Raises ValueError when the message is of another version or was cut.
    """
    try:
        version, count = _HEAD.unpack_from(message)
        if version != _VERSION:
            raise ValueError(f"samples of version {version}, not {_VERSION}")
        return _items(message, count)
    except struct.error as cut:
        raise ValueError("a message of samples was cut short") from cut


def _items(message: bytes, count: int) -> list[StoredSample]:
    samples, at = [], _HEAD.size
    for _ in range(count):
        machine, layout, sequence, time_ms, received_ms, size = _ITEM.unpack_from(
            message, at
        )
        at += _ITEM.size
        values = message[at : at + size]
        samples.append(
            StoredSample(machine, layout, sequence, time_ms, received_ms, values)
        )
        at += size
    if at != len(message):
        raise ValueError("a message of samples has another length than it says")
    return samples
