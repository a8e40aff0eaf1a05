"""One agent's control stream: commands go down, answers come up."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import grpc
from sysmonstm_proto import metrics_pb2 as pb

from hub.log import get_logger

log = get_logger(__name__)

# Commands without an answer on one line. A page asks one thing at a time; beyond
# this somebody asks in vain.
MAX_OUTSTANDING = 16
# Answers on one line that nobody waits for: a hub that was held up hears some. Whoever
# sends more wants something else.
MAX_STRAY = 50
# What a handler has to end by itself.
END_S = 0.5

# Which answer fits which command.
ANSWERS = {
    "collect_now": "collected",
    "live_mode": "live_mode",
    "list_processes": "processes",
    "summarise_connections": "connections",
    "diagnose": "diagnostics",
    "ping": "pong",
}

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
# Called once: with the answer, or with None when the line has ended.
Told = Callable[[pb.ControlAnswer | None], None]


class Busy(Exception):
    """Too much is asked of this machine already (temporary)."""


class Unasked(Exception):
    """It goes on answering what was never asked (permanent for this line)."""


class Asked(NamedTuple):
    wants: str
    told: Told
    until_s: float


class Line:
    """Made by the task that handles it. Idle, it has no task and no queue."""

    __slots__ = (
        "_asked",
        "_context",
        "_handler",
        "_outbox",
        "_stray",
        "_writer",
        "ended",
        "live_again_s",
        "machine_id",
        "pk",
        "version",
    )

    def __init__(self, context: Context) -> None:
        self._context = context
        handler = asyncio.current_task()
        assert handler is not None
        self._handler = handler
        self._asked: dict[int, Asked] = {}
        self._outbox: deque[pb.ControlCommand] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._stray = 0
        self.pk, self.machine_id, self.version = 0, "", ""
        self.ended = False
        # Not before this is it asked for live samples again.
        self.live_again_s = 0.0

    def ask(self, command: pb.ControlCommand, told: Told, timeout_s: float) -> None:
        """Send a command under a number of our own; raises Busy."""
        self._expire()
        if len(self._asked) >= MAX_OUTSTANDING:
            raise Busy
        # Not to be guessed, so that nobody answers what was never asked.
        command.request = secrets.randbits(63) or 1
        command.timeout_ms = round(timeout_s * 1000)
        wants = ANSWERS[command.WhichOneof("body") or ""]
        self._asked[command.request] = Asked(
            wants, told, time.monotonic() + timeout_s + END_S
        )
        if self._outbox is None:
            self._outbox = deque()
        # Bounded by MAX_OUTSTANDING: each is somebody's question.
        self._outbox.append(command)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="control.write")

    def answered(self, answer: pb.ControlAnswer) -> None:
        """Hand an answer to whoever asked; what nobody waits for is dropped.

        Raises Unasked.
        """
        self._expire()
        asked = self._asked.get(answer.request)
        kind = answer.WhichOneof("body")
        if asked is None or kind not in ("refused", asked.wants):
            log.warning("control.stray_answer", machine=self.machine_id, kind=kind)
            self._stray += 1
            if self._stray > MAX_STRAY:
                raise Unasked
            return
        del self._asked[answer.request]
        asked.told(answer)

    def over(self) -> None:
        """The stream has ended: nobody need wait any longer."""
        self.ended = True
        asked, self._asked = self._asked, {}
        for one in asked.values():
            one.told(None)

    async def end(self, code: grpc.StatusCode, sentence: str) -> None:
        """End the call from outside its handler, whose read then raises.

        Cancelling is the last resort: a cancelled read leaks (grpc issue 43360).
        """
        if self.ended:
            return
        self.over()
        with suppress(grpc.aio.BaseError, asyncio.InvalidStateError, TimeoutError):
            async with asyncio.timeout(END_S):
                await self._context.abort(code, sentence)
        await asyncio.wait({self._handler}, timeout=END_S)
        if not self._handler.done():
            self._handler.cancel()

    def _expire(self) -> None:
        if not self._asked:
            return
        now_s = time.monotonic()
        for request in [one for one, a in self._asked.items() if a.until_s < now_s]:
            del self._asked[request]

    async def _write(self) -> None:
        try:
            while self._outbox:
                await self._context.write(self._outbox.popleft())
        except (grpc.aio.BaseError, asyncio.InvalidStateError):
            # The reader sees the end too.
            return
        finally:
            self._writer = None
            self._outbox = None
