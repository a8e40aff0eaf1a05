"""A disk's health, and which disks can be asked for it."""

from __future__ import annotations

import fcntl
import os
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from sysmonstm_agent.metric import NAN

# fcntl.ioctl: (file, request, a structure that it reads and writes).
Ioctl = Callable[[int, int, bytearray], int]


class Unwilling(Exception):
    """The disk, its driver or its bridge does not answer such questions."""


class Asleep(Exception):
    """The disk does not turn, and is not to be woken."""


@dataclass(frozen=True, slots=True)
class Drive:
    """NaN = it does not tell."""

    id: str
    model: str
    # It says of itself that it will fail; None = it does not say.
    failing: bool | None
    temperature: float = NAN
    # Of the life that its maker promised, 0-1; may be more.
    worn: float = NAN
    power_on_s: float = NAN
    # What has gone wrong so far, by what it is called.
    counts: dict[str, int] = field(default_factory=dict)


def ioctl(file: int, request: int, structure: bytearray) -> int:
    answer: int = fcntl.ioctl(file, request, structure)
    return answer


def address(buffer: array[int]) -> int:
    """Return where it lies in memory, for the kernel to fill."""
    return buffer.buffer_info()[0]


def open_device(path: str) -> int:
    # Non-blocking, since opening a drive without a disk would wait for one.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags)


NVME = re.compile(r"(nvme\d+)(c\d+)?n\d+")


def kind(name: str, link: str) -> tuple[str, str] | None:
    """Return how to ask a disk of /sys/block, and under which name of /dev.

    `link` is what /sys/block/NAME points to. A disk behind USB is left alone:
    there are bridges that such a question hangs until they are unplugged.
    """
    if match := NVME.fullmatch(name):
        return "nvme", match[1]
    if re.fullmatch(r"sd[a-z]+", name) and "/usb" not in link:
        return "ata", name
    return None


def text(raw: bytes) -> str:
    """Return what is printed on a disk, as it tells it: padded, maybe garbled."""
    return " ".join(raw.decode("ascii", "replace").replace("\0", " ").split())
