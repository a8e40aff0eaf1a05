"""A hub with all its services, and a whole agent that talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from grpc import aio
from sysmonstm_agent.agent import Agent
from sysmonstm_agent.config import load
from sysmonstm_agent.open_spool import open_spool
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import (
    ConfigServiceServicer,
    ControlServiceServicer,
    MetricsServiceServicer,
    add_ConfigServiceServicer_to_server,
    add_ControlServiceServicer_to_server,
    add_MetricsServiceServicer_to_server,
)

from tests.conftest import FIXTURES
from tests.patience import PATIENCE_S, until


class Metrics(MetricsServiceServicer):
    """Takes whatever comes, and acknowledges it."""

    def __init__(self) -> None:
        self.heard: list[pb.MetricsRequest] = []
        self.hellos: list[pb.Hello] = []
        self.calls: list[Any] = []

    def of(self, kind: str) -> list[pb.MetricsRequest]:
        return [one for one in self.heard if one.WhichOneof("body") == kind]

    @property
    def sequences(self) -> list[int]:
        return [s.sequence for m in self.of("samples") for s in m.samples.samples]

    async def StreamMetrics(  # type: ignore[override]
        self, request_iterator: AsyncIterator[pb.MetricsRequest], context: Any
    ) -> None:
        self.calls.append(context)
        committed = max(self.sequences, default=0)
        async for message in request_iterator:
            if message.HasField("hello"):
                self.hellos.append(message.hello)
                welcome = pb.Welcome(committed_sequence=committed, window=256)
                await context.write(pb.StreamAck(welcome=welcome))
                continue
            self.heard.append(message)
            for sample in message.samples.samples:
                ack = pb.Ack(committed_sequence=sample.sequence)
                await context.write(pb.StreamAck(ack=ack))

    async def GetCurrentState(
        self, request: pb.CurrentStateRequest, context: object
    ) -> pb.MachineState:
        raise NotImplementedError("an agent never asks")

    def GetAllStates(
        self, request: pb.AllStatesRequest, context: object
    ) -> AsyncIterator[pb.MachineState]:
        raise NotImplementedError("an agent never asks")


class Configs(ConfigServiceServicer):
    """Sends what a test puts into `wishes`."""

    def __init__(self) -> None:
        self.wishes: asyncio.Queue[pb.AgentConfig] = asyncio.Queue()
        self.watches: list[pb.WatchConfigRequest] = []
        self.reports: list[pb.ConfigReport] = []
        self.proofs: list[str] = []

    async def WatchConfig(
        self, request: pb.WatchConfigRequest, context: Any
    ) -> AsyncIterator[pb.AgentConfig]:
        self.watches.append(request)
        self.proofs.append(proof_of(context))
        while True:
            yield await self.wishes.get()

    async def ReportConfig(
        self, request: pb.ConfigReport, context: Any
    ) -> pb.ConfigReportReceived:
        self.reports.append(request)
        self.proofs.append(proof_of(context))
        return pb.ConfigReportReceived()


def proof_of(context: Any) -> str:
    return str(dict(context.invocation_metadata() or ()).get("authorization", ""))


class Controls(ControlServiceServicer):
    """Asks what a test wants to know."""

    def __init__(self) -> None:
        self.hellos: list[pb.ControlHello] = []
        self.answers: list[pb.ControlAnswer] = []
        self.call: Any = None
        self._over = asyncio.Event()
        self._last = 0

    async def ManageStream(  # type: ignore[override]
        self, request_iterator: AsyncIterator[pb.ControlAnswer], context: Any
    ) -> None:
        self._over.clear()
        reading = asyncio.create_task(self._read(request_iterator, context))
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({reading, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.call = None
            for task in (reading, over):
                task.cancel()

    async def _read(
        self, answers: AsyncIterator[pb.ControlAnswer], context: Any
    ) -> None:
        async for answer in answers:
            if answer.HasField("hello"):
                self.hellos.append(answer.hello)
                self.call = context
            else:
                self.answers.append(answer)

    def hang_up(self) -> None:
        self._over.set()

    async def send(self, *, timeout_s: float = PATIENCE_S, **body: Any) -> int:
        await until(lambda: self.call)
        self._last += 1
        command = pb.ControlCommand(
            request=self._last, timeout_ms=round(timeout_s * 1000), **body
        )
        await self.call.write(command)
        return self._last

    def answer(self, request: int) -> pb.ControlAnswer | None:
        return next((a for a in self.answers if a.request == request), None)

    async def ask(
        self, *, timeout_s: float = PATIENCE_S, **body: Any
    ) -> pb.ControlAnswer:
        request = await self.send(timeout_s=timeout_s, **body)
        await until(lambda: self.answer(request))
        answer = self.answer(request)
        assert answer is not None
        return answer


class WholeHub:
    def __init__(self, *, old: bool = False) -> None:
        """`old`: it knows only of metrics."""
        self.metrics, self.configs, self.controls = Metrics(), Configs(), Controls()
        self._is_old = old
        self.port = 0
        self.server: aio.Server | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[WholeHub]:
        self.server = server = aio.server()
        add_MetricsServiceServicer_to_server(self.metrics, server)
        if not self._is_old:
            add_ConfigServiceServicer_to_server(self.configs, server)
            add_ControlServiceServicer_to_server(self.controls, server)
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(0)


@asynccontextmanager
async def agent_of(
    hub: WholeHub, state: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Agent]:
    """Run an agent on the machine `web` of the fixtures, a tick a second."""
    config = load(
        {
            "COLLECTOR_AGGREGATOR_URL": f"127.0.0.1:{hub.port}",
            "COLLECTOR_MACHINE_ID": "web-1",
            "COLLECTOR_STATE_DIR": str(state),
            "COLLECTOR_SPOOL_DIR": "memory",
            "COLLECTOR_PROC_ROOT": f"{FIXTURES}/web/proc",
            "COLLECTOR_SYS_ROOT": f"{FIXTURES}/web/sys",
            **environment,
        }
    )
    spool = open_spool(config)
    stop = asyncio.Event()
    agent = Agent(config, spool, asyncio.get_running_loop())
    living = asyncio.create_task(agent.live_until(stop))
    try:
        yield agent
    finally:
        stop.set()
        await living
        spool.close()
