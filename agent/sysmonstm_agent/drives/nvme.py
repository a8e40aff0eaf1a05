"""NVMe disks: two admin commands that only read, Identify and Get Log Page."""

from __future__ import annotations

import struct
from array import array

from sysmonstm_agent.drives.drive import Drive, Ioctl, Unwilling, address, ioctl, text
from sysmonstm_agent.metric import NAN

ADMIN_COMMAND = 0xC0484E41
# struct nvme_passthru_cmd of <linux/nvme_ioctl.h>.
COMMAND = struct.Struct("=BBHIIIQQIIIIIIIIII")
TIMEOUT_MS = 10_000
GET_LOG_PAGE, IDENTIFY = 0x02, 0x06
CONTROLLER = 1
HEALTH_PAGE = 0x02
ALL_NAMESPACES = 0xFFFFFFFF
IDENTIFY_BYTES, HEALTH_BYTES = 4096, 512
# Of the critical warnings: spare too low, unreliable, read-only, its memory is not
# backed up. Too warm is another matter.
FAILING = 0b11101
KELVIN = 273.15


def ask(file: int, name: str, call: Ioctl = ioctl) -> Drive:
    """Raises Unwilling, OSError."""
    who = command(file, IDENTIFY, 0, CONTROLLER, IDENTIFY_BYTES, call)
    # How many groups of four bytes, less one, above the number of the page.
    page = (HEALTH_BYTES // 4 - 1) << 16 | HEALTH_PAGE
    log = command(file, GET_LOG_PAGE, ALL_NAMESPACES, page, HEALTH_BYTES, call)
    return drive(name, who, log)


def drive(name: str, who: bytes, log: bytes) -> Drive:
    kelvin = int.from_bytes(log[1:3], "little")
    return Drive(
        id=name,
        model=text(who[24:64]),
        failing=bool(log[0] & FAILING),
        temperature=round(kelvin - KELVIN, 2) if kelvin else NAN,
        worn=log[5] / 100,
        power_on_s=int.from_bytes(log[128:144], "little") * 3600.0,
        counts={"media_errors": int.from_bytes(log[160:176], "little")},
    )


def command(
    file: int, opcode: int, namespace: int, what: int, size: int, call: Ioctl
) -> bytes:
    buffer = array("B", bytes(size))
    packed = bytearray(
        COMMAND.pack(
            *(opcode, 0, 0, namespace, 0, 0, 0),
            *(address(buffer), 0, size),
            # The last is the result, which these commands do not use.
            *(what, 0, 0, 0, 0, 0, TIMEOUT_MS, 0),
        )
    )
    # The kernel returns the disk's own status, 0 = well.
    if status := call(file, ADMIN_COMMAND, packed):
        raise Unwilling(f"the disk answered {status:#x}")
    return buffer.tobytes()
