"""`manage.py grpcserve`: the hub's ear for agents, as a process of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hub.checks import LISTENING, SEVERAL_PROCESSES
from hub.events.bus import get_bus
from hub.health.background import measuring
from hub.log import get_logger
from hub.rpc import room
from hub.rpc.server import GrpcServer, PortInUse
from hub.rpc.wakes import Loop

log = get_logger(__name__)

# With the second that open handlers get, well below the 15 s that are promised.
GRACE_S = 9.0


class Command(BaseCommand):
    help = "Receive samples from agents over gRPC."
    # They run in `handle`: with the flags, and as one process of several.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.GRPC_HOST)
        parser.add_argument("--port", type=int, default=settings.GRPC_PORT)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        settings.GRPC_HOST = host
        # Without those of pages: they would load what is never served here.
        asked = [LISTENING, SEVERAL_PROCESSES]
        self.check(tags=asked, include_deployment_checks=True)
        room.make()
        try:
            with asyncio.Runner(loop_factory=Loop) as runner:
                runner.run(_serve(host, port))
        except PortInUse as error:
            raise CommandError(str(error)) from error


async def _serve(host: str, port: int) -> None:
    server = GrpcServer(host, port)
    asked = asyncio.Event()
    await server.start()
    _keep_what_is_loaded()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        if asked.is_set():
            # What is not committed was not acknowledged: leaving now is safe.
            log.warning("grpc.cut_short")
            os._exit(1)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    async with measuring("grpcserve"):
        await asked.wait()
        await server.stop(GRACE_S)
    await get_bus().close()


def _keep_what_is_loaded() -> None:
    """Leave what lives for ever to itself."""
    gc.collect()
    gc.freeze()
