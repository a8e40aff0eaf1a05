"""A plain client, for tests that speak to a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import MetricsServiceStub

from hub.events.bus import get_bus
from hub.ingest.tests import wire
from hub.rpc.server import GrpcServer
from hub.testing.calls import End, ended, refusal
from hub.testing.patience import PATIENCE_S

STREAM_METRICS = "/sysmonstm.v1.MetricsService/StreamMetrics"

Metadata = Sequence[tuple[str, str]]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[GrpcServer, int]]:
    """Run a server on a free port; yield it with the port."""
    server = GrpcServer("127.0.0.1", 0)
    port = await server.start()
    try:
        yield server, port
    finally:
        await server.stop(5)
        await get_bus().close()


class Agent:
    """One stream, spoken by hand."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.refusals: list[pb.Refusal] = []

    async def send(self, *requests: pb.MetricsRequest) -> None:
        for request in requests:
            await self.call.write(request)

    async def hello(
        self, machine_id: str = "web-1", epoch: bytes = wire.EPOCH
    ) -> pb.Welcome:
        await self.send(wire.hello(machine_id, epoch))
        return (await self.read()).welcome

    async def read(self) -> pb.StreamAck:
        """Return the next message; raises AioRpcError when the stream ended so."""
        message = await asyncio.wait_for(self.call.read(), PATIENCE_S)
        assert message is not grpc.aio.EOF, await self.call.code()
        assert isinstance(message, pb.StreamAck)
        return message

    async def acked(self, sequence: int) -> None:
        """Read until this number is acknowledged; keep refusals on the way."""
        while (message := await self.read()).ack.committed_sequence < sequence:
            if message.HasField("refusal"):
                self.refusals.append(message.refusal)
        assert message.ack.committed_sequence == sequence

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """Read to the end of the stream; return how it ended."""
        return await ended(self.call)


async def first_word(
    opened: Callable[[], AbstractAsyncContextManager[Agent]],
    hello: pb.MetricsRequest | None = None,
) -> End:
    """Say hello on a stream of one's own; return OK, or how that is refused."""

    async def end() -> End:
        async with opened() as web:
            try:
                await web.send(hello or wire.hello())
                await web.read()
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return await web.end()
            return grpc.StatusCode.OK, ""

    return await refusal(end)


@asynccontextmanager
async def channel(
    port: int, options: Sequence[tuple[str, int]] = ()
) -> AsyncIterator[Any]:
    # A pool of its own: each agent has its connection, as real ones do.
    options = [("grpc.use_local_subchannel_pool", 1), *options]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as made:
        yield made


@asynccontextmanager
async def agent(
    port: int, metadata: Metadata = (), options: Sequence[tuple[str, int]] = ()
) -> AsyncIterator[Agent]:
    """Open a stream on a connection of its own."""
    async with channel(port, options) as made:
        call = MetricsServiceStub(made).StreamMetrics(metadata=metadata)
        try:
            yield Agent(call)
        finally:
            call.cancel()


async def raw_bytes(port: int, message: bytes, **how: Any) -> grpc.StatusCode:
    """Return how the hub ends a stream that begins with these bytes."""

    async def end() -> End:
        async with channel(port) as made:
            call = made.stream_stream(STREAM_METRICS)(**how)
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await call.write(message)
            return await ended(call)

    code, _ = await refusal(end)
    return code
