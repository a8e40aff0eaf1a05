"""What lives on the one event loop, in which order it starts, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable

from django.conf import settings

from hub.alerts.watch import Watch
from hub.celery import app
from hub.checks import is_loopback
from hub.embedded import agent, beat, claims
from hub.embedded.web import Web
from hub.events.bus import get_bus
from hub.health.prober import Prober
from hub.health.shelf import get_shelf
from hub.log import get_logger
from hub.machines import inside
from hub.metrics import Role
from hub.rpc.server import GrpcServer

# Ending takes longer than this only when something hangs.
END_S = 4.5
GRPC_GRACE_S = 0.5

log = get_logger(__name__)


async def run(web: Web, *, ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM; call `ready` with the web port once it is up.

    A second signal ends the process at once.
    """
    leave = asyncio.Event()
    _listen_for_signals(leave)
    Role.name = "up"
    server = GrpcServer(settings.GRPC_HOST, settings.GRPC_PORT, inside=True)
    # What pages tell a new machine to call.
    settings.GRPC_PORT = await server.start()
    if server.enrol_port:
        settings.GRPC_ENROL_PORT = server.enrol_port
    ours = _ours(server)
    try:
        async with asyncio.TaskGroup() as group:
            children = [
                group.create_task(agent.keep_running(ours, token=inside.neighbour())),
                group.create_task(beat.keep_time(app)),
                group.create_task(Watch(get_bus()).run()),
            ]
            await web.answers()
            ready(web.port)
            children.append(group.create_task(_prober(ours, web).run()))
            await leave.wait()
            for child in children:
                child.cancel()
            await web.close()
    finally:
        await server.stop(GRPC_GRACE_S)


def _ours(server: GrpcServer) -> str:
    """Return where this machine's own agent reaches the hub: in plain text, here."""
    # With a listener beyond this machine there is one on loopback beside it.
    own = is_loopback(settings.GRPC_HOST) and server.inside_port == settings.GRPC_PORT
    return _address(settings.GRPC_HOST if own else "127.0.0.1", server.inside_port)


def _prober(grpc_address: str, web: Web) -> Prober:
    return Prober(
        grpc_address=grpc_address,
        web=f"http://{_address(settings.HTTP_HOST, web.port)}",
        agent_token=inside.probe(),
        bus=get_bus(),
        shelf=get_shelf(),
    )


def _address(listening: str, port: int) -> str:
    host = claims.reachable(listening)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen_for_signals(leave: asyncio.Event) -> None:
    def heard(number: int) -> None:
        if leave.is_set():
            os._exit(128 + number)
        leave.set()
        # A daemon: a process that ends in time does not wait for it.
        watchdog = threading.Timer(END_S, _give_up)
        watchdog.daemon = True
        watchdog.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard, number)


def _give_up() -> None:
    log.error("hub.did_not_end", waited_s=END_S)
    os._exit(1)
