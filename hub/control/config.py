"""ConfigService: settings go down now and whenever they change, reports come up.

An open call costs a waiting coroutine and one small object. One task compiles for
all of them; a change for everybody is a few questions to the database, not one for
each machine.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ConfigServiceServicer

from hub.control import changed, compile, reports, stamp
from hub.control.merge import message
from hub.control.refusals import abort, away, machine_of
from hub.control.threads import Calling, Threads
from hub.events import listening
from hub.events.bus import Bus
from hub.events.event import SETTINGS_CHANGED
from hub.events.patience import waits
from hub.log import get_logger
from hub.storage.database import DatabaseDown, guard

log = get_logger(__name__)

# A newer call of a machine ends the older one, so this is machines.
MAX_WATCHES = 10_000
# What comes within this is compiled in one go.
GATHER_S = 0.02
# An event may be lost, and tags change in ways that tell nobody.
POLL_S = 20.0
# An agent reports once for each version it gets.
REPORT_EVERY_S = 0.2
# Of what an agent says of them.
LOGGED = 3

TAKEN_OVER = "A newer call of this machine took over."


class Watch:
    """One open WatchConfig."""

    __slots__ = ("applied", "collectors", "config", "ended", "news", "sent")

    def __init__(self, request: pb.WatchConfigRequest) -> None:
        self.applied = request.applied_version
        # Until they are kept.
        self.collectors: list[str] | None = list(request.collectors)
        # The newest that is not sent yet; an older one is forgotten.
        self.config: pb.AgentConfig | None = None
        self.sent = 0
        self.ended: tuple[grpc.StatusCode, str] | None = None
        self.news = asyncio.Event()

    def offer(self, version: int, wanted: dict[str, Any]) -> None:
        if version != self.sent:
            self.config = message(wanted, version)
            self.news.set()

    def end(self, code: grpc.StatusCode, why: str) -> None:
        self.ended = code, why
        self.news.set()


class ConfigServicer(ConfigServiceServicer):
    def __init__(
        self, bus: Bus, threads: Threads, calling: Calling, *, poll_s: float = POLL_S
    ) -> None:
        self._bus, self._threads, self._calling = bus, threads, calling
        self._poll_s = poll_s
        self._watches: dict[int, Watch] = {}
        self._dirty: set[int] = set()
        self._wake = asyncio.Event()
        self._reported_s: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._watches)

    # -- calls

    async def WatchConfig(
        self, request: pb.WatchConfigRequest, context: Any
    ) -> AsyncIterator[pb.AgentConfig]:
        pk, _ = await machine_of(
            context, self._calling, self._threads, request.machine_id
        )
        watch = await self._open(context, pk, request)
        try:
            self._mark([pk])
            while True:
                await watch.news.wait()
                watch.news.clear()
                if watch.ended:
                    await abort(context, *watch.ended)
                config, watch.config = watch.config, None
                if config is not None:
                    watch.sent = config.version
                    yield config
        finally:
            if self._watches.get(pk) is watch:
                del self._watches[pk]

    async def ReportConfig(
        self, request: pb.ConfigReport, context: Any
    ) -> pb.ConfigReportReceived:
        pk, machine_id = await machine_of(
            context, self._calling, self._threads, request.machine_id
        )
        now_s = time.monotonic()
        if now_s - self._reported_s.get(pk, -REPORT_EVERY_S) < REPORT_EVERY_S:
            await abort(
                context, grpc.StatusCode.RESOURCE_EXHAUSTED, "Not so many reports."
            )
        self._reported_s[pk] = now_s
        refused = list(request.refused)
        try:
            await self._threads.call(_report, pk, request.version, refused)
        except DatabaseDown as down:
            await away(context, down)
        if refused:
            said = reports.lines(refused)[:LOGGED]
            log.warning("settings.refused", machine=machine_id, refused=said)
        return pb.ConfigReportReceived()

    async def _open(
        self, context: Any, pk: int, request: pb.WatchConfigRequest
    ) -> Watch:
        old = self._watches.get(pk)
        if old is not None:
            old.end(grpc.StatusCode.ABORTED, TAKEN_OVER)
        elif len(self._watches) >= MAX_WATCHES:
            await abort(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "The hub has as many streams as it can hold.",
            )
        watch = self._watches[pk] = Watch(request)
        return watch

    # -- changes

    async def listen(self) -> None:
        """Hear of changes, until cancelled."""
        await listening.listen(
            self._bus,
            SETTINGS_CHANGED,
            lambda event: self._mark(changed.read(event.payload)),
            name="settings",
        )

    async def poll(self) -> None:
        """Notice what no event told, until cancelled."""
        known = None
        while True:
            try:
                now = await self._threads.call(stamp.now)
            except DatabaseDown as down:
                log.debug("settings.unpolled", error=str(down))
            else:
                if known is not None and now != known:
                    self._mark(None)
                known = now
            await asyncio.sleep(self._poll_s * random.uniform(0.8, 1.2))
            self._forget_reports()

    async def work(self) -> None:
        """Compile for whoever is marked, until cancelled."""
        pauses = waits()
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            self._wake.clear()
            dirty = self._dirty & self._watches.keys()
            self._dirty.clear()
            watches = {pk: self._watches[pk] for pk in dirty}
            try:
                found = await self._threads.call(_compile, watches)
            except DatabaseDown as down:
                log.warning("settings.waiting", machines=len(dirty), error=str(down))
                self._mark(dirty)
                await asyncio.sleep(next(pauses))
            except Exception:
                # Others' settings go on; these are tried again with the next poll.
                log.exception("settings.uncompiled")
                await asyncio.sleep(next(pauses))
            else:
                pauses = waits()
                for pk, (version, wanted) in found.items():
                    watches[pk].collectors = None
                    watches[pk].offer(version, wanted)

    def _mark(self, pks: Iterable[int] | None) -> None:
        self._dirty |= self._watches.keys() if pks is None else set(pks)
        self._dirty &= self._watches.keys()
        if self._dirty:
            self._wake.set()

    def _forget_reports(self) -> None:
        now_s = time.monotonic()
        self._reported_s = {
            pk: at_s
            for pk, at_s in self._reported_s.items()
            if now_s - at_s < REPORT_EVERY_S
        }

    def end(self, pk: int, code: grpc.StatusCode, why: str) -> None:
        """End a machine's call; it may come back."""
        if (watch := self._watches.get(pk)) is not None:
            watch.end(code, why)

    def leave(self) -> None:
        """End every call: this hub is about to stop."""
        for watch in self._watches.values():
            watch.end(grpc.StatusCode.UNAVAILABLE, "The hub is restarting.")


def _compile(watches: dict[int, Watch]) -> dict[int, tuple[int, dict[str, Any]]]:
    with guard():
        applied = {pk: watch.applied for pk, watch in watches.items()}
        found = compile.standings(watches, applied)
        told = {pk: watch.collectors for pk, watch in watches.items()}
        reports.know_collectors(found, told)
    return {pk: (one.version, one.wanted) for pk, one in found.items()}


def _report(pk: int, version: int, refused: list[str]) -> None:
    with guard():
        reports.report(pk, version, refused)
