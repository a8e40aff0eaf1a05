"""The line beside a machine's name: its CPU over the last hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from hub.log import get_logger
from hub.machines.models import Machine
from hub.storage.database import DatabaseDown
from hub.storage.hot import HotDown, get_hot
from hub.storage.trail import MINUTES, Trail, minutes_until
from hub.storage.window import Selector, window

log = get_logger(__name__)

# After a restart the memory is empty or begins late. A few machines are worth a
# query each; with many, the lines grow as time goes on.
ASKED_FOR = 20

_CPU = Selector("system.cpu.utilization")


def sparklines(machines: Iterable[Machine], *, now: datetime) -> dict[int, Trail]:
    """Return 60 ratios for each machine, a minute each, oldest first.

    None where there was no reading. Never raises for a store that is away: the
    line is an ornament.
    """
    wanted = {machine.pk: machine for machine in machines}
    lines = _hot(list(wanted))
    short = [pk for pk in wanted if lines.get(pk, [None])[0] is None]
    if len(short) <= ASKED_FOR:
        for pk in short:
            hot = lines.get(pk, [None] * MINUTES)
            lines[pk] = [
                stored if held is None else held
                for held, stored in zip(hot, _stored(wanted[pk], now), strict=True)
            ]
    return {pk: lines.get(pk, [None] * MINUTES) for pk in wanted}


def _hot(pks: Sequence[int]) -> dict[int, Trail]:
    try:
        return dict(get_hot().trails(pks))
    except HotDown as down:
        log.warning("hot.down", error=str(down))
        return {}


def _stored(machine: Machine, now: datetime) -> Trail:
    minutes = minutes_until(now.timestamp())
    start = datetime.fromtimestamp(minutes.start * 60, UTC)
    end = start + timedelta(minutes=MINUTES)
    line: Trail = [None] * MINUTES
    try:
        found = window(machine, [_CPU], start, end, points=MINUTES)
    except DatabaseDown as down:
        log.warning("database.down", error=str(down))
        return line
    for series in found.series:
        if series.info.attributes:
            continue
        for time_ms, cpu in zip(
            series.time_ms.tolist(), series.avg.tolist(), strict=True
        ):
            line[time_ms // 60_000 - minutes.start] = round(cpu, 3)
    return line
