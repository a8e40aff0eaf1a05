"""SATA disks: commands of ATA in an envelope of SCSI (SG_IO).

ATA8-ACS for the commands, SAT-3 for the envelope. Nothing here writes to a disk or
changes one: IDENTIFY, CHECK POWER MODE, SMART READ DATA, SMART RETURN STATUS.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass

from sysmonstm_agent.drives.drive import (
    Asleep,
    Drive,
    Ioctl,
    Unwilling,
    address,
    ioctl,
    text,
)
from sysmonstm_agent.metric import NAN

SG_IO = 0x2285
# struct sg_io_hdr of <scsi/sg.h>.
HEADER = struct.Struct("@iiBBHIPPPIIiPBBBBHHiII0P")
FROM_DEVICE, NO_DATA = -3, -1
TIMEOUT_MS = 10_000
SECTOR_BYTES = 512
SENSE_BYTES = 32

PASS_THROUGH_16 = 0x85
# Byte 1: the protocol. Byte 2: what is sent where, in sectors; or "tell me the
# registers afterwards".
PIO_IN, NON_DATA = 4 << 1, 3 << 1
IN_SECTORS, CHECK = 0x0E, 0x20

IDENTIFY, CHECK_POWER_MODE, SMART = 0xEC, 0xE5, 0xB0
READ_DATA, RETURN_STATUS = 0xD0, 0xDA
# What SMART wants in the registers before, and leaves there when all is well, or
# when the disk expects to fail.
SMART_MID, SMART_HIGH = 0x4F, 0xC2
WELL, FAILING = (0x4F, 0xC2), (0xF4, 0x2C)
STANDBY = (0x00, 0x01)

# Attributes, by number, whose raw value counts what went wrong.
COUNTS = {
    5: "reallocated_sectors",
    197: "pending_sectors",
    198: "uncorrectable_sectors",
}
POWER_ON_HOURS = 9
TEMPERATURES = (194, 190)
# Makers of solid-state disks each have their own for the life that is left, in
# percent, as the normalised value.
LIFE_LEFT = (231, 233, 202, 177, 173)


@dataclass(frozen=True, slots=True)
class Attribute:
    value: int
    raw: int


@dataclass(frozen=True, slots=True)
class Registers:
    count: int
    mid: int
    high: int


def ask(file: int, name: str, call: Ioctl = ioctl) -> Drive:
    """Raises Asleep, Unwilling, OSError."""
    try:
        if registers(file, CHECK_POWER_MODE, 0, call).count in STANDBY:
            raise Asleep(name)
    except Unwilling:
        pass  # An old disk, or a bridge. One that sleeps is told by neither.
    who = sector(file, IDENTIFY, 0, call)
    if not has_smart(who):
        raise Unwilling("no S.M.A.R.T., or it is switched off")
    data = sector(file, SMART, READ_DATA, call)
    try:
        left = registers(file, SMART, RETURN_STATUS, call)
        failing = {WELL: False, FAILING: True}.get((left.mid, left.high))
    except Unwilling:
        failing = None
    return drive(name, who, data, failing)


def drive(name: str, who: bytes, data: bytes, failing: bool | None) -> Drive:
    found = attributes(data)
    temperatures = [found[n].raw & 0xFF for n in TEMPERATURES if n in found]
    hours = found.get(POWER_ON_HOURS)
    return Drive(
        id=name,
        # Each word's two bytes are the wrong way round.
        model=text(swapped(who[54:94])),
        failing=failing,
        temperature=float(temperatures[0]) if temperatures else NAN,
        worn=worn(found) if is_solid(who) else NAN,
        # Some makers keep minutes or the like above the lowest three bytes.
        power_on_s=(hours.raw & 0xFFFFFF) * 3600.0 if hours else NAN,
        counts={
            name: found[number].raw & 0xFFFFFFFF
            for number, name in COUNTS.items()
            if number in found
        },
    )


def worn(found: dict[int, Attribute]) -> float:
    left = [found[number].value for number in LIFE_LEFT if number in found]
    return (100 - left[0]) / 100 if left and left[0] <= 100 else NAN


def attributes(data: bytes) -> dict[int, Attribute]:
    """Read the table: 30 rows of number, flags, value, worst, raw, reserved."""
    if sum(data) % 256:
        raise Unwilling("the page of attributes is garbled")
    rows = (data[2 + 12 * row : 14 + 12 * row] for row in range(30))
    return {
        row[0]: Attribute(row[3], int.from_bytes(row[5:11], "little"))
        for row in rows
        if row[0]
    }


def word(who: bytes, number: int) -> int:
    return int.from_bytes(who[2 * number : 2 * number + 2], "little")


def has_smart(who: bytes) -> bool:
    return bool(word(who, 82) & word(who, 85) & 1)


def is_solid(who: bytes) -> bool:
    # How fast it turns; 1 = it does not.
    return word(who, 217) == 1


def swapped(raw: bytes) -> bytes:
    pairs = array("H", raw)
    pairs.byteswap()
    return pairs.tobytes()


def sector(file: int, command: int, feature: int, call: Ioctl) -> bytes:
    """Return the 512 bytes that a command answers with."""
    buffer = array("B", bytes(SECTOR_BYTES))
    sense = pass_through(file, command, feature, call, buffer=buffer)
    if not any(buffer):
        raise Unwilling(f"nothing came back: {sense[:8].hex()}")
    return buffer.tobytes()


def registers(file: int, command: int, feature: int, call: Ioctl) -> Registers:
    """Return what a command left in the disk's registers."""
    sense = pass_through(file, command, feature, call, buffer=None)
    # In either form of sense data; not every bridge sends one of them.
    if sense[0] & 0x7F == 0x72 and sense[8:10] == bytes((0x09, 0x0C)):
        return Registers(count=sense[13], mid=sense[17], high=sense[19])
    if sense[0] & 0x7F == 0x70 and sense[12:14] == bytes((0x00, 0x1D)):
        return Registers(count=sense[6], mid=sense[10], high=sense[11])
    raise Unwilling("no registers came back")


def pass_through(
    file: int, command: int, feature: int, call: Ioctl, *, buffer: array[int] | None
) -> bytes:
    """Send one command; return the sense data. Raises Unwilling, OSError."""
    mid, high = (SMART_MID, SMART_HIGH) if command == SMART else (0, 0)
    protocol, flags = (NON_DATA, CHECK) if buffer is None else (PIO_IN, IN_SECTORS)
    order = array("B", bytes(16))
    order[0], order[1], order[2] = PASS_THROUGH_16, protocol, flags
    order[4], order[6] = feature, 0 if buffer is None else 1
    order[10], order[12], order[14] = mid, high, command
    sense = array("B", bytes(SENSE_BYTES))
    header = bytearray(
        HEADER.pack(
            ord("S"),
            NO_DATA if buffer is None else FROM_DEVICE,
            *(len(order), len(sense), 0),
            0 if buffer is None else len(buffer),
            0 if buffer is None else address(buffer),
            *(address(order), address(sense)),
            *(TIMEOUT_MS, 0, 0, 0),
            *(0, 0, 0, 0, 0, 0, 0, 0, 0),
        )
    )
    call(file, SG_IO, header)
    *_, host_status, driver_status, _, _, _ = HEADER.unpack(header)
    # 8 says that there is sense data, which is what was asked for.
    if host_status or driver_status & ~0x08:
        raise Unwilling(f"refused: {host_status:#x}, {driver_status:#x}")
    # The sense key: 0 and 1 are well; all else is that the command is not known.
    answer = sense.tobytes()
    key = answer[1] if answer[0] & 0x7F in (0x72, 0x73) else answer[2]
    if key & 0x0F > 1:
        raise Unwilling(f"refused: sense {key & 0x0F:#x}")
    return answer
