"""An agent's side of the two services, spoken by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ConfigServiceStub, ControlServiceStub

from hub.control import post
from hub.control.services import Control
from hub.events.bus import get_bus
from hub.ingest.workers import Workers
from hub.testing.calls import ended
from hub.testing.patience import PATIENCE_S


@asynccontextmanager
async def serving(*, poll_s: float = 20.0) -> AsyncIterator[tuple[Control, int]]:
    """Run the two services alone, for whoever says what it is called."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    workers = Workers("control", 2)
    control = Control(get_bus(), workers, lambda named: (named, 0), poll_s=poll_s)
    control.register(server)
    hears, hear = asyncio.Event(), control._answering.hear

    def noted(question: Any) -> None:
        hears.set()
        hear(question)

    control._answering.hear = noted  # type: ignore[method-assign]
    await control.start()
    await server.start()
    # Questions are heard from a moment after the start.
    while not hears.is_set():
        await post.tell_all({"type": "control.command", "machine": 0})
        await asyncio.sleep(0.01)
    try:
        yield control, port
    finally:
        await control.stop()
        await server.stop(1)
        await workers.close()
        await get_bus().close()


@asynccontextmanager
async def channel(port: int) -> AsyncIterator[Any]:
    # A pool of its own: each agent has its connection, as real ones do.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as made:
        yield made


class Watching:
    """An open WatchConfig."""

    def __init__(self, stub: Any, call: Any, machine_id: str) -> None:
        self._stub, self._call, self._machine_id = stub, call, machine_id

    async def config(self) -> pb.AgentConfig:
        read = await asyncio.wait_for(self._call.read(), PATIENCE_S)
        assert isinstance(read, pb.AgentConfig), await self._call.details()
        return read

    async def is_silent(self, for_s: float = 0.3) -> bool:
        # The read goes on: cancelling one would end the call.
        self._reading = asyncio.ensure_future(self._call.read())
        done, _ = await asyncio.wait({self._reading}, timeout=for_s)
        return not done

    async def end(self) -> tuple[grpc.StatusCode, str]:
        return await ended(self._call)

    async def report(self, version: int, *refused: str) -> None:
        await self._stub.ReportConfig(
            pb.ConfigReport(
                machine_id=self._machine_id, version=version, refused=refused
            )
        )


@asynccontextmanager
async def watching(
    port: int,
    machine_id: str,
    *,
    applied: int = 0,
    collectors: tuple[str, ...] = (),
) -> AsyncIterator[Watching]:
    async with channel(port) as made:
        stub = ConfigServiceStub(made)
        request = pb.WatchConfigRequest(
            machine_id=machine_id, applied_version=applied, collectors=collectors
        )
        call = stub.WatchConfig(request)
        try:
            yield Watching(stub, call, machine_id)
        finally:
            call.cancel()


class Managed:
    """An open ManageStream."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.asked: list[str | None] = []

    async def command(self) -> pb.ControlCommand:
        read = await asyncio.wait_for(self.call.read(), PATIENCE_S)
        assert isinstance(read, pb.ControlCommand), await self.call.details()
        return read

    async def answer_pings(self) -> None:
        """Answer as a real agent does, until the call ends."""
        while isinstance(command := await self.call.read(), pb.ControlCommand):
            self.asked.append(command.WhichOneof("body"))
            await self.answer(command.request, pong=pb.Pong(clock_unix_ms=7))

    async def answer(self, request: int, **body: Any) -> None:
        await self.call.write(pb.ControlAnswer(request=request, **body))

    async def end(self) -> tuple[grpc.StatusCode, str]:
        return await ended(self.call)


@asynccontextmanager
async def managed(port: int, machine_id: str) -> AsyncIterator[Managed]:
    async with channel(port) as made:
        call = ControlServiceStub(made).ManageStream()
        await call.write(
            pb.ControlAnswer(
                hello=pb.ControlHello(machine_id=machine_id, agent_version="1.2.3")
            )
        )
        try:
            yield Managed(call)
        finally:
            call.cancel()
