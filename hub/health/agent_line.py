"""The prober's own small agent: one stream to the hub, spoken plainly."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import MetricsServiceStub

from hub.health.stages import STAGES
from hub.machines.registry import CANARY

METRIC = "sysmonstm.canary.duration"
ATTRIBUTE = "stage"
HELP = "From a test sample being sent to this stage of its way; 30 = not in time."

CONNECT_S = 10.0
LAYOUT = 1


class Cut(Exception):
    """The stream has ended (temporary)."""


class AgentLine:
    """An open stream of the canary; `send`, then wait until it is `acked`."""

    def __init__(self, call: Any, committed: int) -> None:
        self._call = call
        self.sequence = committed
        self._committed = committed
        self._moved = asyncio.Event()
        self._ended = ""

    async def send(self, time_ms: int, values: Sequence[float]) -> int:
        """Send one sample; return its number. Raises AioRpcError, Cut."""
        self.sequence += 1
        sample = pb.Sample(
            sequence=self.sequence,
            time_unix_ms=time_ms,
            layout=LAYOUT,
            values=struct.pack(f"<{len(values)}f", *values),
        )
        await self._write(pb.MetricsRequest(samples=pb.SampleBatch(samples=[sample])))
        return self.sequence

    async def acked(self, sequence: int) -> None:
        """Return when the hub has committed this number. Raises Cut."""
        while self._committed < sequence:
            if self._ended:
                raise Cut(self._ended)
            self._moved.clear()
            await self._moved.wait()

    @property
    def ended(self) -> bool:
        return bool(self._ended)

    async def listen(self) -> None:
        """Hear what the hub says until the stream ends."""
        try:
            self._ended = await self._hear()
        finally:
            # Whatever happened: who waits for an acknowledgement must not wait on.
            self._ended = self._ended or "the stream is over"
            self._moved.set()

    async def _hear(self) -> str:
        try:
            while isinstance(message := await self._call.read(), pb.StreamAck):
                kind = message.WhichOneof("body")
                if kind == "ack":
                    self._committed = message.ack.committed_sequence
                    self._moved.set()
                elif kind == "refusal":
                    return f"refused: {message.refusal.detail}"
                elif kind == "reconnect":
                    return "the hub asks to come back later"
        except grpc.aio.AioRpcError as error:
            return error.details() or error.code().name
        return "the hub has ended the stream"

    async def _write(self, request: pb.MetricsRequest) -> None:
        try:
            await self._call.write(request)
        except asyncio.InvalidStateError as over:
            raise Cut("the stream is over") from over


class Caller:
    """Opens streams of one canary: one epoch, however often it reconnects."""

    def __init__(
        self,
        address: str,
        *,
        secret: str,
        interval_s: float,
        trust: Callable[[], tuple[bytes, str]] | None = None,
    ) -> None:
        """`trust` returns whom to trust and the name to expect; None = plain text."""
        self._address, self._secret = address, secret
        self._trust = trust
        self._interval_s = interval_s
        self._epoch = secrets.token_bytes(16)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AgentLine]:
        """Open a stream; raises AioRpcError, TimeoutError or Cut."""
        async with self._channel() as channel:
            metadata = (
                [("authorization", f"Bearer {self._secret}")] if self._secret else None
            )
            call: Any = MetricsServiceStub(channel).StreamMetrics(metadata=metadata)
            listening: asyncio.Task[None] | None = None
            try:
                async with asyncio.timeout(CONNECT_S):
                    line = await self._greet(call)
                listening = asyncio.create_task(line.listen())
                yield line
            finally:
                if listening is not None:
                    listening.cancel()
                    with suppress(asyncio.CancelledError):
                        await listening
                call.cancel()

    def _channel(self) -> grpc.aio.Channel:
        # A pool of its own: what is measured is not another client's connection.
        options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
        if self._trust is None:
            return grpc.aio.insecure_channel(self._address, options)
        # Read each time: a certificate may be a new one.
        roots, name = self._trust()
        options.append(("grpc.ssl_target_name_override", name))
        credentials = grpc.ssl_channel_credentials(roots)
        return grpc.aio.secure_channel(self._address, credentials, options)

    async def _greet(self, call: Any) -> AgentLine:
        hello = pb.Hello(
            machine_id=CANARY,
            agent_version="prober",
            spool_epoch=self._epoch,
            clock_unix_ms=time.time_ns() // 1_000_000,
            interval_ms=round(self._interval_s * 1000),
        )
        await call.write(pb.MetricsRequest(hello=hello))
        answer = await call.read()
        if not isinstance(answer, pb.StreamAck) or not answer.HasField("welcome"):
            raise Cut("the hub does not answer Hello")
        await call.write(pb.MetricsRequest(layout=layout()))
        return AgentLine(call, answer.welcome.committed_sequence)


def layout() -> pb.Layout:
    """Return the canary's series: one duration for each stage."""
    metric = pb.Metric(name=METRIC, unit="s", kind=pb.KIND_GAUGE, help=HELP)
    series = [pb.Series(metric=0, attributes={ATTRIBUTE: stage}) for stage in STAGES]
    return pb.Layout(id=LAYOUT, metrics=[metric], series=series)
