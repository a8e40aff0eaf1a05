"""One conversation with the hub after another, for ever."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import grpc
from grpc import aio
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import MetricsServiceStub

from sysmonstm_agent import __version__
from sysmonstm_agent.backoff import Backoff
from sysmonstm_agent.channel import bearer, connect
from sysmonstm_agent.companion import Companions
from sysmonstm_agent.config import Config
from sysmonstm_agent.identity import Identity
from sysmonstm_agent.log import log
from sysmonstm_agent.machine import Machine
from sysmonstm_agent.rotate import Rotation
from sysmonstm_agent.spool import Spool
from sysmonstm_agent.stream import WELCOME_S, HubSilent, Stream, Watcher, Witness

# Trying again does not help with these, until somebody has done something.
FOR_A_PERSON = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

# Nor is there any use in asking again soon.
SHUT = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})

WORD_LOST = "Internal error from Core"


class Client:
    """Carries what is in the spool to the hub, whenever there is one."""

    def __init__(
        self,
        config: Config,
        machine: Machine,
        spool: Spool,
        *,
        witness: Witness | None = None,
        live: Watcher | None = None,
        companions: Companions | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._machine = machine
        self._spool = spool
        self._witness, self._live = witness, live
        self._companions = companions or Companions(())
        self._interval_s = config.interval_s
        self._identity = Identity(config)
        self._rotation = Rotation(self._identity, config.rotation_s)
        self._clock = clock
        self._sleep = sleep
        self._backoff = Backoff(chance=chance)
        self._stream: Stream | None = None
        self._leaving = False
        # Whether the conversation before ended with a new epoch of the spool.
        self._renewed = False
        # Why the hub was away the last time.
        self._trouble = ""
        # Why the door was shut the last time, None = it was not.
        self._shut: grpc.StatusCode | None = None

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

    @property
    def welcomed(self) -> bool:
        """Whether the hub listens."""
        return self._stream is not None and self._stream.welcomed_s is not None

    def leave(self, reason: str = "") -> bool:
        """Begin to end a conversation politely. Returns whether there is one.

        With a reason the hub is told that the silence to come is meant.
        """
        self._leaving = True
        if self._stream:
            self._stream.leave(reason)
        return self._stream is not None

    def set_interval(self, interval_s: float) -> None:
        """Tell the hub what to expect from now on: it learns it from Hello alone."""
        if interval_s != self._interval_s:
            self._interval_s = interval_s
            if self._stream:
                self._stream.come_back()

    async def _converse(self) -> float:
        """Hold one conversation, and return how long to wait before the next."""
        trouble, level = "the hub closed the stream", log.warning
        code: grpc.StatusCode | None = None
        shown = self._identity.secret
        async with connect(self._config) as channel:
            call = MetricsServiceStub(channel).StreamMetrics(metadata=bearer(shown))
            self._stream = stream = Stream(
                call,
                self._spool,
                clock=self._clock,
                witness=self._witness,
                live=self._live,
                welcomed=lambda: self._let_in(channel, shown),
            )
            try:
                await stream.run(self._hello())
            except aio.AioRpcError as error:
                trouble, code = self._why(error)
                if code in FOR_A_PERSON:
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
                await self._companions.part()
                await self._rotation.part()
        self._shut = code if code in SHUT else None
        refused = code is grpc.StatusCode.UNAUTHENTICATED
        if refused and self._identity.refused(shown):
            log.info("credential.another", trouble=trouble)
            return self._backoff.after_failure(lasted_s=0.0)
        return self._pause_s(stream, trouble, level)

    def _why(self, error: aio.AioRpcError) -> tuple[str, grpc.StatusCode]:
        code, details = error.code(), error.details() or ""
        # A write that fails as the hub ends the call may take the place of the
        # hub's own word (grpc/grpc#36066). It is likely the same as the last time.
        if code is grpc.StatusCode.INTERNAL and details == WORD_LOST and self._shut:
            return self._trouble, self._shut
        return f"{code.name}: {details}", code

    def _let_in(self, channel: aio.Channel, shown: str) -> None:
        self._identity.accepted(shown)
        self._rotation.meet(channel, bearer(shown))
        self._companions.meet(channel, self._identity.metadata)

    def _pause_s(
        self, stream: Stream, trouble: str, level: Callable[..., None]
    ) -> float:
        again, self._renewed = self._renewed and stream.renewed, stream.renewed
        if again:
            # Whatever epoch it is shown, it claims to have more.
            trouble = "the hub claims to have what was never sent"
            pause_s = self._backoff.after_failure(lasted_s=0.0)
        elif stream.reconnect_after_s is not None:
            trouble, level = "the hub asked to come back", log.info
            pause_s = self._backoff.when_told(stream.reconnect_after_s)
        elif self._shut:
            pause_s = self._backoff.when_refused()
        else:
            since_s = stream.welcomed_s
            lasted_s = 0.0 if since_s is None else self._clock() - since_s
            pause_s = self._backoff.after_failure(lasted_s=lasted_s)
        if self._leaving:
            return pause_s
        # A hub that stays away is one event, not one for every try.
        repeated = stream.welcomed_s is None and trouble == self._trouble
        self._trouble = trouble
        todo = advice(trouble, self._identity, shut=self._shut)
        (log.debug if repeated else level)(
            "hub.away",
            trouble=trouble,
            **({"todo": todo} if todo else {}),
            retry_in_s=round(pause_s, 1),
            acknowledged=stream.acknowledged,
            refused=stream.refused.total(),
            spooled=spooled(self._spool),
            evicted=self._spool.evicted,
        )
        return pause_s

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
            interval_ms=round(self._interval_s * 1000),
            oldest_sequence=self._spool.oldest,
        )


def advice(trouble: str, identity: Identity, *, shut: grpc.StatusCode | None) -> str:
    """Say what a person can do about it; "" = nothing but wait."""
    if "SSL_ERROR" in trouble or "CERTIFICATE" in trouble:
        return "`sysmonstm-agent doctor` says what is wrong with the hub's TLS."
    if shut is not grpc.StatusCode.UNAUTHENTICATED:
        return ""
    if identity.kept is not None:
        return (
            "The hub no longer takes this machine's credential. Make a new enrolment"
            " command on the machine's page at the hub, and run it here."
        )
    if identity.secret:
        return "COLLECTOR_TOKEN is not what the hub wants; enrol this machine instead."
    return "This machine is not enrolled: the hub's page Add machine has the command."


def spooled(spool: Spool) -> int:
    return spool.last - spool.oldest + 1 if spool.oldest else 0
