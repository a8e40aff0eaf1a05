"""Test samples on the whole way through the hub, one every ten seconds.

    agent_line ──gRPC──▶ hub ──▶ database      commit
                          ├────▶ bus           event
                          └────▶ web ──WS──▶ screen    frame

It stands outside, like an agent and a browser, and knows nothing of what is
between. What it measured is what its next sample says: the hub keeps its own
history like any machine's.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TypeVar

import grpc
import orjson
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from hub import metrics
from hub.events.bus import Bus
from hub.events.ending import end
from hub.events.event import METRICS_RAW, BusDown, Events
from hub.health.agent_line import AgentLine, Caller, Cut
from hub.health.screen import Screen
from hub.health.shelf import Shelf, ShelfDown
from hub.health.stages import (
    COMMIT,
    DEADLINE_S,
    EVENT,
    FRAME,
    ROUNDS,
    STAGES,
    Late,
    Status,
    judge,
    measured,
    slow_s,
)
from hub.log import get_logger
from hub.machines.models import Machine
from hub.machines.registry import CANARY
from hub.people import tokens
from hub.people.models import ApiToken
from hub.storage.sample import unpack

INTERVAL_S = 10.0
# After rounds without an answer: doubled, but a recovery is soon seen.
LONGEST_PAUSE_S = 30.0
# To start listening to events; without it the stage has no answer.
LISTEN_S = 2.0

SHELF_NAME = "prober"
# A round at its longest and a pause at its longest, and some.
STATUS_S = DEADLINE_S + LONGEST_PAUSE_S + 30.0
TOKEN_DAYS = 1

log = get_logger(__name__)

T = TypeVar("T")

# What a hub that is ill does to whoever probes it.
AWAY = (
    grpc.aio.AioRpcError,
    Cut,
    TimeoutError,
    DatabaseError,
    InterfaceError,
    Machine.DoesNotExist,
)

Found = dict[str, float | None]
NOTHING: Mapping[str, None] = dict.fromkeys(STAGES)


class Prober:
    """`run` it once."""

    def __init__(
        self,
        *,
        grpc_address: str,
        web: str,
        agent_token: str,
        trust: Callable[[], tuple[bytes, str]] | None = None,
        bus: Bus,
        shelf: Shelf,
        interval_s: float = INTERVAL_S,
        deadline_s: float = DEADLINE_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._caller = Caller(
            grpc_address, secret=agent_token, interval_s=interval_s, trust=trust
        )
        self._screen = Screen(web, _new_token)
        self._bus, self._shelf = bus, shelf
        self._interval_s, self._deadline_s = interval_s, deadline_s
        self._sleep = sleep
        self._machine = 0
        self._greeted = asyncio.Event()
        self._rounds: deque[Found] = deque(maxlen=ROUNDS)
        self._pause_s = interval_s
        self._late: Late | None = None
        self._late_since_ms: int | None = None

    async def run(self) -> None:
        """Probe until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                try:
                    async with self._caller.stream() as line:
                        await self._probe(line)
                except AWAY as gone:
                    log.info("canary.cut", error=_said(gone))
                    await self._note(dict(NOTHING))
                except Exception:
                    # It must outlive whatever it looks at.
                    log.exception("canary.failed")
                    await self._note(dict(NOTHING))
                await self._rest()
        finally:
            await end([watching])

    async def _watch(self) -> None:
        """Look at the canary once there is one: a stranger is not let in."""
        await self._greeted.wait()
        await self._screen.run()

    async def _probe(self, line: AgentLine) -> None:
        """Send test samples until the stream ends."""
        self._machine = await _in_database(_machine)
        self._greeted.set()
        while not line.ended:
            await self._note(await self._round(line))
            await self._rest()

    async def _round(self, line: AgentLine) -> Found:
        """Send one; return how long it took to each stage. Takes DEADLINE_S at most."""
        clock = asyncio.get_running_loop().time
        listening = asyncio.Event()
        sent: asyncio.Future[tuple[int, int]] = (
            asyncio.get_running_loop().create_future()
        )
        hearing = asyncio.create_task(self._hear(listening, sent))
        tasks = {EVENT: hearing}
        began_s = clock()
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._listening(listening, hearing)
                began_s, time_ms = clock(), time.time_ns() // 1_000_000
                last = self._rounds[-1] if self._rounds else None
                sequence = await line.send(time_ms, _values(last))
                sent.set_result((sequence, time_ms))
                tasks[COMMIT] = asyncio.create_task(_at(clock, line.acked(sequence)))
                shown = self._screen.shown(time_ms)
                tasks[FRAME] = asyncio.create_task(_at(clock, shown))
                # A stage that fails has no answer; the others still may.
                await asyncio.gather(*tasks.values(), return_exceptions=True)
        except TimeoutError:
            pass
        finally:
            await end(tasks.values())
            sent.cancel()
        return {stage: _took(tasks.get(stage), began_s) for stage in STAGES}

    async def _listening(
        self, listening: asyncio.Event, hearing: asyncio.Task[float]
    ) -> None:
        ready = asyncio.create_task(listening.wait())
        await asyncio.wait(
            {ready, hearing}, timeout=LISTEN_S, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()

    async def _hear(
        self, listening: asyncio.Event, sent: asyncio.Future[tuple[int, int]]
    ) -> float:
        """Return when the event of the sample was heard. Raises BusDown."""
        async with self._bus.subscribe(METRICS_RAW) as events:
            listening.set()
            sequence, time_ms = await sent
            return await _at(
                asyncio.get_running_loop().time,
                self._heard(events, sequence, time_ms),
            )

    async def _heard(self, events: Events, sequence: int, time_ms: int) -> None:
        wanted = (self._machine, sequence, time_ms)
        async for event in events:
            for sample in unpack(event.payload):
                if (sample.machine, sample.sequence, sample.time_ms) == wanted:
                    return

    async def _note(self, found: Found) -> None:
        """Count a round, judge, and tell who wants to know."""
        self._rounds.append(found)
        for stage, seconds in found.items():
            if seconds is None:
                metrics.CANARY_UNANSWERED.labels(stage).inc()
            else:
                metrics.CANARY.labels(stage).observe(seconds)
        slow = slow_s(self._rounds)
        now_ms = time.time_ns() // 1_000_000
        self._turn(judge(found, slow), now_ms)
        unanswered = any(seconds is None for seconds in found.values())
        self._pause_s = (
            min(self._pause_s * 2, max(LONGEST_PAUSE_S, self._interval_s))
            if unanswered
            else self._interval_s
        )
        status = Status(now_ms, found, slow, self._late_since_ms)
        try:
            await asyncio.to_thread(
                self._shelf.put,
                SHELF_NAME,
                orjson.dumps(asdict(status)),
                lifetime_s=STATUS_S,
            )
        except ShelfDown as down:
            log.info("canary.untold", error=str(down))

    def _turn(self, late: Late | None, now_ms: int) -> None:
        """Note when it became late, and when it was well again."""
        if late and not self._late:
            self._late_since_ms = now_ms
            log.warning("hub.late", what=late, seconds=self._rounds[-1])
        elif self._late and not late:
            self._late_since_ms = None
            log.info("hub.on_time")
        self._late = late

    async def _rest(self) -> None:
        # Not at the same moment as every agent that ticks at round seconds.
        await self._sleep(self._pause_s * random.uniform(0.9, 1.0))


async def _at(clock: Callable[[], float], awaited: Awaitable[object]) -> float:
    await awaited
    return clock()


def _took(task: asyncio.Task[float] | None, began_s: float) -> float | None:
    """Return the seconds of a stage that was reached."""
    if task is None or task.cancelled() or not task.done():
        return None
    error = task.exception()
    if error is None:
        return max(0.0, task.result() - began_s)
    if not isinstance(error, BusDown | Cut):
        log.error("canary.stage_failed", exc_info=error)
    return None


def _values(last: Found | None) -> list[float]:
    """Return what the next sample says: the last round; nothing before the first."""
    if last is None:
        return [math.nan] * len(STAGES)
    return [measured(last[stage]) for stage in STAGES]


def _said(error: BaseException) -> str:
    details = error.details() if isinstance(error, grpc.aio.AioRpcError) else None
    return details or str(error) or type(error).__name__


async def _new_token() -> str:
    """Make the canary's own token, which sees the canary and nothing else."""
    try:
        return await _in_database(_make_token)
    except (DatabaseError, InterfaceError) as away:
        raise ConnectionError(str(away)) from away


def _make_token() -> str:
    user, _ = User.objects.get_or_create(
        username=CANARY, defaults={"password": make_password(None)}
    )
    ApiToken.objects.filter(name=CANARY).delete()
    until = timezone.now() + timedelta(days=TOKEN_DAYS)
    return tokens.create(CANARY, user, expires_at=until)


def _machine() -> int:
    return Machine.objects.values_list("pk", flat=True).get(machine_id=CANARY)


async def _in_database(function: Callable[[], T]) -> T:
    def call() -> T:
        close_old_connections()
        try:
            return function()
        finally:
            close_old_connections()

    return await asyncio.to_thread(call)
