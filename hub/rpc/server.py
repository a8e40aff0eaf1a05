"""The gRPC server, put together: services, limits, start and stop.

Lives in one event loop and knows nothing of signals: `grpcserve` and the embedded
`up` decide when it ends.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import grpc
from django.conf import settings
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from sysmonstm_proto import metrics_pb2
from sysmonstm_proto.limits import MAX_MESSAGE_BYTES
from sysmonstm_proto.metrics_pb2_grpc import (
    add_EnrolmentServiceServicer_to_server,
    add_MetricsServiceServicer_to_server,
)

from hub import metrics
from hub.checks import grpc_speaks_tls, is_loopback, is_plain_beyond
from hub.control.services import Control
from hub.events.bus import get_bus
from hub.events.ending import end
from hub.ingest import asking, rivals
from hub.ingest.announce import Announcer
from hub.ingest.bookkeeper import Bookkeeper
from hub.ingest.caller import CALLER
from hub.ingest.processes import Sightings
from hub.ingest.servicer import MetricsServicer
from hub.ingest.streams import Streams
from hub.ingest.workers import Workers
from hub.ingest.writer import Stats, Writer
from hub.log import get_logger
from hub.rpc import room
from hub.rpc.authenticate import Authenticator
from hub.rpc.enrolment import EnrolmentServicer
from hub.rpc.tls import Certificates
from hub.storage import raw
from hub.storage.hot import get_hot

log = get_logger(__name__)

METRICS_SERVICE = metrics_pb2.DESCRIPTOR.services_by_name["MetricsService"].full_name

OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 8 * 1024),
    # An agent has one stream; a program reads beside it.
    ("grpc.max_concurrent_streams", 8),
    # A line that died silently is noticed after 40 s, not after two hours.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Since grpc has this one, it is what decides, and its default is 60 s.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.max_connection_idle_ms", 120_000),
    # gRPC adds jitter of a tenth. A stream is cut after the grace and resumes.
    ("grpc.max_connection_age_ms", 4 * 3600 * 1000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    # Else each tick is answered with a ping to estimate the line's bandwidth.
    ("grpc.http2.bdp_probe", 0),
    # A client that opens a connection and never finishes the handshake.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Two hubs must not share a port without knowing.
    ("grpc.so_reuseport", 0),
]

# The end of a stop: how long handlers have after everything is said.
LAST_S = 1.0


class PortInUse(Exception):
    """Somebody else listens there; the text is a sentence."""


class GrpcServer:
    """`start`, then `stop`, once."""

    def __init__(self, host: str, port: int, *, inside: bool = False) -> None:
        """`inside`: listen in plain text for this machine's own agent as well."""
        self._host, self._port = host, port
        self._has_inside = inside
        self._stopping = False
        # Where this machine's own agent calls; where others are enrolled when that
        # is not the port itself. 0 = there is none.
        self.inside_port = self.enrol_port = 0

    @property
    def stats(self) -> Stats:
        """The writer's figures, for health."""
        return self._writer.stats

    @property
    def control(self) -> Control:
        """Who is asked and settled, for tests and for health."""
        return self._control

    @property
    def streams(self) -> int:
        """How many agents are connected."""
        return len(self._streams)

    async def start(self) -> int:
        """Listen; return the port. Raises PortInUse."""
        self._authenticator = Authenticator()
        crowd = ("grpc.max_allowed_incoming_connections", room.connections())
        self._server = grpc.aio.server(
            interceptors=[self._authenticator], options=[*OPTIONS, crowd]
        )
        # Bound first: a refused port leaves no threads behind.
        try:
            port = self._listen()
        except PortInUse:
            await self._authenticator.close()
            raise
        self._assemble()
        self._register()
        self._tell_metrics()
        self._writer.start()
        await self._control.start()
        self._tasks = self._beside()
        await self._server.start()
        await self._health.set(METRICS_SERVICE, health_pb2.HealthCheckResponse.SERVING)
        self._say(port)
        return port

    def _assemble(self) -> None:
        self._streams = Streams()
        self._announcer = Announcer(get_hot(), get_bus())
        self._books = Bookkeeper()
        self._writer = Writer(
            raw.write,
            self._announcer,
            committed=self._books.committed,
            came_back=self._streams.call_back,
        )
        self._sightings = Sightings(get_hot(), self._announcer)
        self._servicer = MetricsServicer(
            self._writer, self._announcer, self._streams, self._books, self._sightings
        )
        self._control_workers = Workers("control", 2)
        self._control = Control(get_bus(), self._control_workers, _calling)
        self._enrolment = EnrolmentServicer()
        self._health = _Health()

    def _register(self) -> None:
        add_MetricsServiceServicer_to_server(self._servicer, self._server)
        self._control.register(self._server)
        add_EnrolmentServiceServicer_to_server(self._enrolment, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.DEBUG:
            _reflect(self._server)

    def _beside(self) -> list[asyncio.Task[None]]:
        """Start what runs beside the calls; `stop` ends it."""
        return [
            asyncio.create_task(self._authenticator.run(get_bus()), name="door"),
            asyncio.create_task(self._streams.sweep(), name="sweeper"),
            asyncio.create_task(self._books.run(), name="bookkeeper"),
            asyncio.create_task(self._sightings.run(), name="sightings"),
            asyncio.create_task(rivals.listen(get_bus(), self._streams), name="rivals"),
            asyncio.create_task(asking.listen(get_bus(), self._streams), name="asking"),
        ]

    def _say(self, port: int) -> None:
        log.info(
            "grpc.listening",
            host=self._host,
            port=port,
            pid=os.getpid(),
            tls=grpc_speaks_tls(),
            enrol_port=self.enrol_port,
        )
        if is_plain_beyond():
            log.warning("grpc.plain_text", host=self._host)

    def _listen(self) -> int:
        """Bind each port; return the one that agents are told. Raises PortInUse."""
        beyond = not is_loopback(self._host)
        if not grpc_speaks_tls():
            port = self.inside_port = self._bind(self._port, "GRPC_PORT")
            if self._has_inside and beyond:
                self._listen_inside()
            return port
        required = settings.GRPC_MTLS == "required"
        shown = Certificates(asks_clients=required).credentials()
        port = self._bind(self._port, "GRPC_PORT", shown)
        if required:
            # gRPC cannot ask for a certificate without demanding it, and who enrols
            # has none yet.
            open_ = Certificates(asks_clients=False).credentials()
            wanted = settings.GRPC_ENROL_PORT
            self.enrol_port = self._bind(wanted, "GRPC_ENROL_PORT", open_)
        if self._has_inside:
            self._listen_inside()
        return port

    def _listen_inside(self) -> None:
        self.inside_port = self._server.add_insecure_port("127.0.0.1:0")

    def _bind(
        self, port: int, name: str, shown: grpc.ServerCredentials | None = None
    ) -> int:
        address = _address(self._host, port)
        try:
            if shown is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, shown)
        except RuntimeError as error:
            raise PortInUse(
                f"Cannot listen on {self._host} port {port}: another program does, or "
                f"the address is not this machine's. Set {name}."
            ) from error

    def _tell_metrics(self) -> None:
        stats, streams, announcer = self.stats, self._streams, self._announcer
        metrics.STREAMS.follow(lambda: len(streams))
        metrics.QUEUE.follow(lambda: stats.waiting)
        metrics.FAILING.follow(lambda: stats.failing)
        metrics.STORED.follow(lambda: stats.stored)
        metrics.DUPLICATES.follow(lambda: stats.duplicates)
        metrics.REFUSED.follow(lambda: stats.refused)
        metrics.UNTOLD.follow(lambda: announcer.untold)

    async def stop(self, grace_s: float = 10.0) -> None:
        """Say goodbye, commit what was received, acknowledge it, end.

        Takes at most `grace_s` and a few seconds; what is not committed by then
        was not acknowledged and stays with the agents.
        """
        if self._stopping:
            return
        self._stopping = True
        log.info("grpc.stopping", streams=len(self._streams))
        await self._health.enter_graceful_shutdown()
        self._streams.leave()
        await self._control.leave()
        try:
            async with asyncio.timeout(grace_s):
                await self._writer.drain()
                await self._streams.flush()
                await self._announcer.drain()
        except TimeoutError:
            log.warning("grpc.undrained", samples=self._writer.stats.waiting)
        try:
            async with asyncio.timeout(LAST_S):
                await self._streams.end()
        except TimeoutError:
            log.warning("grpc.lingering", streams=len(self._streams))
        await end(self._tasks)
        await self._server.stop(LAST_S)
        await self._control.stop()
        await self._control_workers.close()
        await self._servicer.close()
        await self._writer.close()
        await self._books.close()
        await self._sightings.close()
        await self._enrolment.close()
        await self._authenticator.close()
        log.info("grpc.stopped", stored=self._writer.stats.stored)


class _Health(health.aio.HealthServicer):
    async def List(self, request: object, context: Any) -> None:
        # The library leaves it out: any stranger could fill the log with failures.
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Ask with Check.")


def _calling(named: str) -> tuple[str, int]:
    caller = CALLER.get()
    return (caller.machine(named), caller.credential) if caller else ("", 0)


def _reflect(server: grpc.aio.Server) -> None:
    # Needed by nobody in production, and not shown to anybody there.
    from grpc_reflection.v1alpha import reflection

    names = (METRICS_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


def _address(host: str, port: int) -> str:
    if host.startswith("unix:"):
        return host
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{host}:{port}"
