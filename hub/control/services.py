"""The two services of a gRPC server that talk back, and what runs beside them."""

from __future__ import annotations

import asyncio

import grpc
from sysmonstm_proto import metrics_pb2
from sysmonstm_proto.metrics_pb2_grpc import (
    add_ConfigServiceServicer_to_server,
    add_ControlServiceServicer_to_server,
)

from hub.control import post
from hub.control.answering import Answering
from hub.control.config import POLL_S, ConfigServicer
from hub.control.control import ControlServicer
from hub.control.live_mode import LiveMode
from hub.control.threads import Calling, Threads
from hub.events.bus import Bus
from hub.events.ending import end

SERVICES = tuple(
    metrics_pb2.DESCRIPTOR.services_by_name[name].full_name
    for name in ("ConfigService", "ControlService")
)


class Control:
    """`register`, `start`, `stop`, each once, on the server's own loop."""

    def __init__(
        self, bus: Bus, threads: Threads, calling: Calling, *, poll_s: float = POLL_S
    ) -> None:
        self.config = ConfigServicer(bus, threads, calling, poll_s=poll_s)
        self.control = ControlServicer(threads, calling)
        self._answering = Answering(self.control)
        self._live_mode = LiveMode(bus, self.control)
        self._tasks: list[asyncio.Task[None]] = []

    def register(self, server: grpc.aio.Server) -> None:
        add_ConfigServiceServicer_to_server(self.config, server)
        add_ControlServiceServicer_to_server(self.control, server)

    async def start(self) -> None:
        loops = (
            self.config.listen(),
            self.config.poll(),
            self.config.work(),
            self._live_mode.run(),
            post.listen(self._answering.hear),
        )
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def leave(self) -> None:
        """Ask nobody any more; agents come back to another process or later."""
        await self.control.leave()
        self.config.leave()

    async def stop(self) -> None:
        await self.leave()
        self._answering.close()
        await end(self._tasks)

    def cut(self, pk: int, code: grpc.StatusCode, sentence: str) -> None:
        """End what a machine has open here."""
        self.control.end(pk, code, sentence)
        self.config.end(pk, code, sentence)
