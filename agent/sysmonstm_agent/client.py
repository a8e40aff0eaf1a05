"""One conversation with the hub after another, for ever."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import grpc
from grpc import aio
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import MetricsServiceStub

from sysmonstm_agent import __version__
from sysmonstm_agent.backoff import Backoff
from sysmonstm_agent.config import Config
from sysmonstm_agent.log import log
from sysmonstm_agent.machine import Machine
from sysmonstm_agent.spool import Spool
from sysmonstm_agent.stream import WELCOME_S, HubSilent, Stream, Witness

# Trying again does not help with these, until somebody has done something.
FOR_A_PERSON = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

LOOPBACK = ("localhost:", "127.", "[::1]:")

OPTIONS = (
    # A peer that vanished without a word is noticed after 40 s. The hub permits
    # a ping every 20 s, also on a stream that is quiet.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Since grpc has this one, it is what decides, and its default is 60 s.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Else each message is answered with a ping that estimates the line's bandwidth.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_send_message_length", limits.MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
    # Each try is a channel of its own, and must not inherit the waits that grpc
    # keeps for an address: this module decides when to try.
    ("grpc.use_local_subchannel_pool", 1),
)


class Client:
    """Carries what is in the spool to the hub, whenever there is one."""

    def __init__(
        self,
        config: Config,
        machine: Machine,
        spool: Spool,
        *,
        witness: Witness | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._machine = machine
        self._spool = spool
        self._witness = witness
        self._clock = clock
        self._sleep = sleep
        self._backoff = Backoff(chance=chance)
        self._stream: Stream | None = None
        self._leaving = False
        # Why the hub was away the last time.
        self._trouble = ""

    async def run(self) -> None:
        """Talk to the hub until told to leave, or cancelled."""
        while not self._leaving:
            pause_s = await self._converse()
            if not self._leaving:
                await self._sleep(pause_s)

    def wake(self) -> None:
        """Look again: there is a new sample, or something else to tell."""
        if self._stream:
            self._stream.wake()

    def leave(self) -> bool:
        """Begin to end a conversation politely. Returns whether there is one."""
        self._leaving = True
        if self._stream:
            self._stream.leave()
        return self._stream is not None

    async def _converse(self) -> float:
        """Hold one conversation, and return how long to wait before the next."""
        trouble, level = "the hub closed the stream", log.warning
        async with connect(self._config) as channel:
            call = MetricsServiceStub(channel).StreamMetrics(metadata=self._metadata())
            self._stream = stream = Stream(
                call, self._spool, clock=self._clock, witness=self._witness
            )
            try:
                await stream.run(self._hello())
            except aio.AioRpcError as error:
                trouble = f"{error.code().name}: {error.details()}"
                if error.code() in FOR_A_PERSON:
                    level = log.error
            except HubSilent:
                trouble = f"no answer within {WELCOME_S:.0f} s"
            # The loop that must live: what is measured goes on into the spool, and
            # the next try may find other data.
            except Exception:  # noqa: BLE001
                trouble = "a fault of the agent"
                log.exception("client.failed")
            finally:
                self._stream = None
            return self._pause_s(stream, trouble, level)

    def _pause_s(
        self, stream: Stream, trouble: str, level: Callable[..., None]
    ) -> float:
        if stream.reconnect_after_s is not None:
            trouble, level = "the hub asked to come back", log.info
            pause_s = self._backoff.when_told(stream.reconnect_after_s)
        else:
            since_s = stream.welcomed_s
            lasted_s = 0.0 if since_s is None else self._clock() - since_s
            pause_s = self._backoff.after_failure(lasted_s=lasted_s)
        if self._leaving:
            return pause_s
        # A hub that stays away is one event, not one for every try.
        repeated = stream.welcomed_s is None and trouble == self._trouble
        self._trouble = trouble
        (log.debug if repeated else level)(
            "hub.away",
            trouble=trouble,
            retry_in_s=round(pause_s, 1),
            acknowledged=stream.acknowledged,
            refused=stream.refused.total(),
            spooled=spooled(self._spool),
            evicted=self._spool.evicted,
        )
        return pause_s

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        token = self._config.token
        return (("authorization", f"Bearer {token}"),) if token else ()

    def _hello(self) -> pb.Hello:
        return pb.Hello(
            machine_id=self._config.machine_id,
            agent_version=__version__,
            os=self._machine.os,
            kernel=self._machine.kernel,
            architecture=self._machine.architecture,
            boot_time_unix_ms=self._machine.boot_time_unix_ms,
            spool_epoch=self._spool.epoch,
            clock_unix_ms=int(time.time() * 1000),
            interval_ms=round(self._config.interval_s * 1000),
            oldest_sequence=self._spool.oldest,
        )


def connect(config: Config) -> aio.Channel:
    options = list(OPTIONS)
    if config.target.startswith(LOOPBACK):
        # A proxy named in the environment is for the world, not for this machine.
        options.append(("grpc.enable_http_proxy", 0))
    if config.tls:
        credentials = grpc.ssl_channel_credentials()
        return aio.secure_channel(config.target, credentials, options)
    return aio.insecure_channel(config.target, options)


def spooled(spool: Spool) -> int:
    return spool.last - spool.oldest + 1 if spool.oldest else 0
