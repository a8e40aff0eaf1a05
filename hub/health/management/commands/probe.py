"""`manage.py probe`: test samples through the whole hub, as a process of its own."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from hub.checks import SEVERAL_PROCESSES, grpc_speaks_tls
from hub.events.bus import get_bus
from hub.health.background import measuring
from hub.health.prober import Prober
from hub.health.shelf import get_shelf
from hub.machines import authority, inside


class Command(BaseCommand):
    help = "Send a test sample through the hub every ten seconds and time it."
    # They run in `handle`, as one process of several.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--grpc",
            default=f"127.0.0.1:{settings.GRPC_PORT}",
            help="where grpcserve listens: host:port",
        )
        parser.add_argument(
            "--web",
            default=f"http://127.0.0.1:{settings.HTTP_PORT}",
            help="where the pages are: http://host:port",
        )

    def handle(self, *args: Any, grpc: str, web: str, **options: Any) -> None:
        self.check(tags=[SEVERAL_PROCESSES], include_deployment_checks=True)
        asyncio.run(_probe(grpc, web))


def _line(grpc: str) -> str:
    """Return the port that wants no client certificate: the prober has none."""
    host, _, port = grpc.rpartition(":")
    wanted = settings.GRPC_MTLS == "required" and port == str(settings.GRPC_PORT)
    return f"{host}:{settings.GRPC_ENROL_PORT}" if wanted else grpc


async def _probe(grpc: str, web: str) -> None:
    prober = Prober(
        grpc_address=_line(grpc),
        web=web,
        agent_token=inside.probe(),
        trust=authority.local_trust if grpc_speaks_tls() else None,
        bus=get_bus(),
        shelf=get_shelf(),
    )
    async with measuring("probe"):
        probing = asyncio.create_task(prober.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, probing.cancel)
        await asyncio.gather(probing, return_exceptions=True)
    await get_bus().close()
