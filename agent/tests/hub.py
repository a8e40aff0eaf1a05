"""The hub's side of the wire, played by a real gRPC server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from grpc import aio
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from tests.patience import PATIENCE_S

Context = aio.ServicerContext[pb.MetricsRequest, pb.StreamAck]


IN_PASSING = {"live", "account", "processes", "instant", "goodbye"}


class Conversation:
    """One stream, as a script of the test sees it."""

    def __init__(
        self, requests: AsyncIterator[pb.MetricsRequest], context: Context
    ) -> None:
        self._requests = requests
        self.context = context
        self.metadata = dict(context.invocation_metadata() or ())

    async def any(self) -> pb.MetricsRequest:
        return await anext(self._requests)

    async def next(self, kind: str) -> pb.MetricsRequest:
        """Return the next message, past what is only said in passing."""
        message = await self.any()
        while message.WhichOneof("body") in IN_PASSING - {kind}:
            message = await self.any()
        assert message.WhichOneof("body") == kind
        return message

    async def next_of(self, kind: str) -> pb.MetricsRequest:
        """Return the next message of the kind, past all others."""
        message = await self.any()
        while message.WhichOneof("body") != kind:
            message = await self.any()
        return message

    async def rest(self) -> list[pb.MetricsRequest]:
        return [
            message
            async for message in self._requests
            if message.WhichOneof("body") not in IN_PASSING
        ]

    async def welcome(self, cursor: int = 0, window: int = 256) -> pb.Hello:
        hello = (await self.next("hello")).hello
        welcome = pb.Welcome(committed_sequence=cursor, window=window)
        await self.context.write(pb.StreamAck(welcome=welcome))
        return hello

    async def ack(self, sequence: int) -> None:
        ack = pb.Ack(committed_sequence=sequence)
        await self.context.write(pb.StreamAck(ack=ack))

    async def sequences(self, count: int) -> list[int]:
        """Return the numbers of the next samples, past any layouts between them."""
        numbers: list[int] = []
        while len(numbers) < count:
            message = await self.any()
            numbers += [sample.sequence for sample in message.samples.samples]
        return numbers


Script = Callable[[Conversation], Awaitable[None]]


class Hub(MetricsServiceServicer):
    """Holds the scripts of the conversations to come, one for each stream."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._played = asyncio.Event()
        self._problems: list[Exception] = []
        self.port = 0
        self.streams = 0

    # The stub knows only handlers that yield; this one writes.
    async def StreamMetrics(  # type: ignore[override]
        self, request_iterator: AsyncIterator[pb.MetricsRequest], context: Context
    ) -> None:
        self.streams += 1
        try:
            await self._scripts.pop(0)(Conversation(request_iterator, context))
        except aio.AbortError:
            raise
        except Exception as problem:
            self._problems.append(problem)
            raise
        finally:
            if not self._scripts:
                self._played.set()

    async def played(self) -> None:
        """Return when the last script has ended."""
        async with asyncio.timeout(PATIENCE_S):
            await self._played.wait()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Hub]:
        """Serve, and in the end raise what failed in a script."""
        server = aio.server()
        add_MetricsServiceServicer_to_server(self, server)
        self.port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(0)
            if self._problems:
                raise self._problems[0]

    async def GetCurrentState(
        self, request: pb.CurrentStateRequest, context: object
    ) -> pb.MachineState:
        raise NotImplementedError("an agent never asks")

    def GetAllStates(
        self, request: pb.AllStatesRequest, context: object
    ) -> AsyncIterator[pb.MachineState]:
        raise NotImplementedError("an agent never asks")
