"""ControlService: the lines of this process, and who is asked over them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc
from google.protobuf.message import DecodeError
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ControlServiceServicer

from hub.control.line import Context, Line, Unasked
from hub.control.refusals import abort, machine_of
from hub.control.threads import Calling, Threads
from hub.events.errands import Errands
from hub.log import get_logger

log = get_logger(__name__)

HELLO_S = 20.0
# Those of one machine end each other, so this is machines and a few greetings.
MAX_LINES = 10_000

TAKEN_OVER = "A newer call of this machine took over."
LEAVING = "The hub is restarting."


class ControlServicer(ControlServiceServicer):
    def __init__(
        self, threads: Threads, calling: Calling, *, hello_s: float = HELLO_S
    ) -> None:
        self._threads, self._calling = threads, calling
        self._hello_s = hello_s
        self._newest: dict[int, Line] = {}
        self._open: set[Line] = set()
        self._leaving = False
        self._errands = Errands()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def lines(self) -> Mapping[int, Line]:
        """The open line of each machine that has one here."""
        return self._newest

    async def ManageStream(  # type: ignore[override]
        self, request_iterator: object, context: Context
    ) -> None:
        if self._leaving:
            await abort(context, grpc.StatusCode.UNAVAILABLE, LEAVING)
        if len(self._open) >= MAX_LINES:
            await abort(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "The hub has as many streams as it can hold.",
            )
        line = Line(context)
        self._open.add(line)
        try:
            await self._serve(line, context)
        except DecodeError:
            await abort(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "That is not a ControlAnswer.",
            )
        except Unasked:
            await abort(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "Nobody has asked for all these answers.",
            )
        finally:
            line.over()
            self._open.discard(line)
            if self._newest.get(line.pk) is line:
                del self._newest[line.pk]

    async def _serve(self, line: Line, context: Context) -> None:
        hello = await self._hello(line, context)
        if hello is None:
            return
        line.pk, line.machine_id = await machine_of(
            context, self._calling, self._threads, hello.machine_id
        )
        line.version = hello.agent_version[:128]
        old, self._newest[line.pk] = self._newest.get(line.pk), line
        if old is not None:
            self._errands.start(old.end(grpc.StatusCode.ABORTED, TAKEN_OVER))
        while isinstance(answer := await context.read(), pb.ControlAnswer):
            if answer.HasField("hello"):
                await abort(
                    context,
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "Hello is said once.",
                )
            line.answered(answer)

    async def _hello(self, line: Line, context: Context) -> pb.ControlHello | None:
        """Return the Hello; None: the agent left before it said anything."""
        late = f"No Hello within {self._hello_s:.0f} s."
        watchdog = asyncio.get_running_loop().call_later(
            self._hello_s,
            lambda: self._errands.start(
                line.end(grpc.StatusCode.DEADLINE_EXCEEDED, late)
            ),
        )
        try:
            first = await context.read()
        finally:
            watchdog.cancel()
        if not isinstance(first, pb.ControlAnswer):
            return None
        if not first.HasField("hello"):
            await abort(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "The first message of a stream is Hello.",
            )
        return first.hello

    def end(self, pk: int, code: grpc.StatusCode, sentence: str) -> None:
        """End a machine's line; it may come back."""
        if (line := self._newest.get(pk)) is not None:
            self._errands.start(line.end(code, sentence))

    async def leave(self) -> None:
        """Take no more lines, and end those there are."""
        self._leaving = True
        code = grpc.StatusCode.UNAVAILABLE
        await asyncio.gather(*(line.end(code, LEAVING) for line in [*self._open]))
