"""Somebody looks at a machine: its agent sends a sample each second meanwhile.

A lease is granted again as long as it is told that somebody watches, and ends by
itself; so nothing need be remembered, and several watchers share it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import orjson
from sysmonstm_proto import metrics_pb2 as pb

from hub.control.control import ControlServicer
from hub.control.line import Busy, Line
from hub.events import listening
from hub.events.bus import Bus
from hub.events.event import MACHINES_WATCHED
from hub.log import get_logger

log = get_logger(__name__)

INTERVAL_MS = 1_000
LEASE_MS = 15_000
# Watchers tell every five seconds, each process by itself; one of three is enough.
AGAIN_S = 4.0
# An agent that will not is not asked at every turn.
REFUSED_S = 60.0
ANSWER_S = 5.0


class LiveMode:
    def __init__(
        self,
        bus: Bus,
        servicer: ControlServicer,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus, self._servicer, self._clock = bus, servicer, clock

    async def run(self) -> None:
        """Grant leases, until cancelled."""
        await listening.listen(
            self._bus,
            MACHINES_WATCHED,
            lambda event: self.grant(_pks(event.payload)),
            name="live_mode",
        )

    def grant(self, pks: Iterable[int]) -> None:
        """Ask for live samples of those machines whose lines are here."""
        for pk in pks:
            line = self._servicer.lines.get(pk)
            if line is not None and not line.ended:
                self._grant(line)

    def _grant(self, line: Line) -> None:
        now_s = self._clock()
        if now_s < line.live_again_s:
            return
        line.live_again_s = now_s + AGAIN_S
        live = pb.LiveMode(interval_ms=INTERVAL_MS, lease_ms=LEASE_MS)

        def told(answer: pb.ControlAnswer | None) -> None:
            if answer is not None and answer.HasField("refused"):
                line.live_again_s = self._clock() + REFUSED_S
                log.info("live_mode.refused", machine=line.machine_id)

        try:
            line.ask(pb.ControlCommand(live_mode=live), told, ANSWER_S)
        except Busy:
            log.debug("live_mode.busy", machine=line.machine_id)


def _pks(payload: bytes) -> list[int]:
    told = orjson.loads(payload)
    pks = told.get("pks") if isinstance(told, dict) else None
    if not isinstance(pks, list) or not all(type(pk) is int for pk in pks):
        raise ValueError("not a list of numbers")
    return pks
