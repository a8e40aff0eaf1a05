"""What goes on beside the stream of samples, on the same channel, while it lasts.

A companion that fails tries again by itself and disturbs nobody: samples go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc
from grpc import aio

from sysmonstm_agent.backoff import Backoff
from sysmonstm_agent.log import log

# What proves who calls, at this moment: it is replaced now and then.
Proof = Callable[[], tuple[tuple[str, str], ...]]

# How long companions have to end, once the stream has.
PART_S = 0.5
# A hub that is older than the companion.
UNKNOWN = "UNIMPLEMENTED"
# Not to be asked again at once: who may speak is settled by the stream of samples.
REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")


class Companion(Protocol):
    """Talks with the hub in its own way."""

    @property
    def name(self) -> str: ...

    def call(self, channel: aio.Channel, proof: Proof) -> Any:
        """Begin a call that lasts; grpc's own object."""

    async def talk(self, call: Any) -> None:
        """Hold the conversation. Raises AioRpcError when it ends badly."""

    def part(self) -> None:
        """It is over: end what only this conversation needed."""


class Companions:
    """From `meet` to `part`; then perhaps another time."""

    def __init__(
        self,
        companions: Sequence[Companion],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._companions = companions
        self._clock, self._chance = clock, chance
        self._tasks: list[asyncio.Task[None]] = []
        self._calls: dict[str, Any] = {}
        self._over = asyncio.Event()

    def meet(self, channel: aio.Channel, proof: Proof) -> None:
        """The hub has said Welcome on this channel."""
        self._over.clear()
        self._tasks = [
            asyncio.create_task(self._keep(one, channel, proof), name=one.name)
            for one in self._companions
        ]

    async def part(self) -> None:
        """Return when all have ended."""
        self._over.set()
        # They end by this. A read is not cancelled: it leaks (grpc/grpc#43360).
        for call in self._calls.values():
            call.cancel()
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=PART_S)
        finally:
            # Also of an agent that ends in the meantime.
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(
        self, companion: Companion, channel: aio.Channel, proof: Proof
    ) -> None:
        backoff, trouble = Backoff(chance=self._chance), ""
        while not self._over.is_set():
            began_s = self._clock()
            before, trouble = trouble, await self._try(companion, channel, proof)
            if self._over.is_set() or trouble == UNKNOWN:
                return
            lasted_s = self._clock() - began_s
            pause_s = (
                backoff.when_refused()
                if trouble.startswith(REFUSED)
                else backoff.after_failure(lasted_s=lasted_s)
            )
            (log.debug if trouble == before else log.info)(
                f"{companion.name}.away", trouble=trouble, retry_in_s=round(pause_s, 1)
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._over.wait()

    async def _try(
        self, companion: Companion, channel: aio.Channel, proof: Proof
    ) -> str:
        """Hold one conversation; return why it ended."""
        call = self._calls[companion.name] = companion.call(channel, proof)
        try:
            await companion.talk(call)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return UNKNOWN
            return f"{error.code().name}: {error.details()}"
        except asyncio.InvalidStateError:
            return "the hub ended it"
        except asyncio.CancelledError:
            # grpc says so too, when a call was cancelled.
            if not self._over.is_set():
                raise
        # Whatever a hub may say, the samples go on.
        except Exception:  # noqa: BLE001
            log.exception(f"{companion.name}.failed")
            return "a fault of the agent"
        finally:
            call.cancel()
            self._calls.pop(companion.name, None)
            companion.part()
        return "the hub ended it"
