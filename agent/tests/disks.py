"""Disks that answer ioctls as the kernel and the standards have it.

Their pages are laid out by ATA8-ACS, SAT-3 and NVMe 1.4, byte by byte.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from sysmonstm_agent.drives import ata, nvme


def identify(model: str, *, solid: bool, smart: bool = True) -> bytes:
    words = [0] * 256
    raw = model.ljust(40).encode()
    words[27:47] = struct.unpack(">20H", raw)
    words[82] = words[85] = 1 if smart else 0
    words[217] = 1 if solid else 7200
    return struct.pack("<256H", *words)


def attributes(rows: Mapping[int, tuple[int, int]]) -> bytes:
    """Return the page of attributes: number, and its value and raw value."""
    page = bytearray(512)
    page[0] = 16
    for place, (number, (value, raw)) in enumerate(rows.items()):
        row = struct.pack("<BHBB", number, 0x32, value, value)
        page[2 + 12 * place : 14 + 12 * place] = row + raw.to_bytes(6, "little") + b"\0"
    page[511] = -sum(page) % 256
    return bytes(page)


@dataclass
class SataDisk:
    """Takes SG_IO."""

    who: bytes
    page: bytes
    left: tuple[int, int] = ata.WELL
    power: int = 0xFF
    # Whether it, or its bridge, returns the registers, and how.
    sense: str = "descriptor"
    host_status: int = 0
    commands: list[int] = field(default_factory=list)

    def __call__(self, file: int, request: int, structure: bytearray) -> int:
        assert request == 0x2285
        assert len(structure) == 88  # As <scsi/sg.h> has it on 64 bits.
        fields = list(ata.HEADER.unpack(structure))
        _, direction, length, sense_length, _, size, data, order, sense = fields[:9]
        command = ctypes.string_at(order, length)
        assert command[0] == 0x85
        self.commands.append(command[14])
        if command[14] == ata.IDENTIFY:
            assert (direction, size, command[1], command[2]) == (-3, 512, 0x08, 0x0E)
            ctypes.memmove(data, self.who, 512)
        elif command[14] == ata.SMART:
            assert (command[10], command[12]) == (0x4F, 0xC2)
            if command[4] == 0xD0:
                ctypes.memmove(data, self.page, 512)
            else:
                assert (direction, command[1], command[2]) == (-1, 0x06, 0x20)
                answer = self._sense(0, *self.left)
                ctypes.memmove(sense, answer, min(len(answer), sense_length))
        else:
            answer = self._sense(self.power, 0, 0)
            ctypes.memmove(sense, answer, min(len(answer), sense_length))
        fields[-5], fields[-4] = self.host_status, 8
        structure[:] = ata.HEADER.pack(*fields)
        return 0

    def _sense(self, count: int, mid: int, high: int) -> bytes:
        if self.sense == "descriptor":
            head = bytes((0x72, 1, 0, 0x1D, 0, 0, 0, 14))
            return head + bytes((9, 12, 0, 0, 0, count, 0, 0, 0, mid, 0, high, 0, 0x50))
        if self.sense == "fixed":
            head = bytes((0x70, 0, 1, 0, 0x50, 0, count, 10, 0, 0, mid, high))
            return head + bytes((0x00, 0x1D, 0, 0, 0, 0))
        return bytes(18)


def controller(model: str) -> bytes:
    page = bytearray(4096)
    page[24:64] = model.ljust(40).encode()
    return bytes(page)


def health(
    *,
    warning: int = 0,
    kelvin: int = 311,
    used: int = 3,
    hours: int = 0,
    errors: int = 0,
) -> bytes:
    page = bytearray(512)
    page[0] = warning
    page[1:3] = kelvin.to_bytes(2, "little")
    page[5] = used
    page[128:144] = hours.to_bytes(16, "little")
    page[160:176] = errors.to_bytes(16, "little")
    return bytes(page)


@dataclass
class NvmeDisk:
    """Takes NVME_IOCTL_ADMIN_CMD."""

    who: bytes
    log: bytes
    status: int = 0

    def __call__(self, file: int, request: int, structure: bytearray) -> int:
        assert request == 0xC0484E41
        assert len(structure) == 72  # As <linux/nvme_ioctl.h> has it.
        opcode, _, _, namespace, _, _, _, data, _, size, what, *_ = nvme.COMMAND.unpack(
            structure
        )
        if self.status:
            return self.status
        if opcode == 0x06:
            assert (namespace, what, size) == (0, 1, 4096)
            ctypes.memmove(data, self.who, size)
        else:
            assert (opcode, namespace, what) == (0x02, 0xFFFFFFFF, 0x007F0002)
            ctypes.memmove(data, self.log, size)
        return 0
