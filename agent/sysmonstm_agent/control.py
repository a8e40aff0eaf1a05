"""Answers what the hub asks: the closed list below, and nothing else.

Each of it only reads, and none takes a name, a path or a program from the hub.
What takes long is done one at a time on a thread; a few wait, more are refused. An
answer that would come too late is not given.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

from grpc import aio
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ControlServiceStub

from sysmonstm_agent import __version__
from sysmonstm_agent.channel import say_first
from sysmonstm_agent.companion import Proof
from sysmonstm_agent.in_thread import in_thread
from sysmonstm_agent.log import log
from sysmonstm_agent.questions import Questions, Refused

Call: TypeAlias = "aio.StreamStreamCall[pb.ControlAnswer, pb.ControlCommand]"
Answer = Callable[[Questions, pb.ControlCommand, float], pb.ControlAnswer]

AT_ONCE: dict[str, Answer] = {
    "ping": Questions.ping,
    "live_mode": Questions.live_mode,
    "diagnose": Questions.diagnose,
}
IN_TURN: dict[str, Answer] = {
    "collect_now": Questions.collect_now,
    "list_processes": Questions.list_processes,
    "summarise_connections": Questions.summarise_connections,
}

# Where a command does not say, and at most.
TIMEOUT_S, MAX_TIMEOUT_S = 10.0, 60.0
# Of those that are done in turn.
MAX_WAITING = 4
# Commands are heard this often, a few more at once.
EVERY_S, AT_A_TIME = 0.02, 20
# What took processor time is followed by so much rest: a fifth of a core at most.
REST, MAX_REST_S = 4.0, 5.0
# What is remembered for whoever asks again is forgotten then.
FORGET_S = 60.0


class Asked(NamedTuple):
    command: pb.ControlCommand
    answer: Answer
    deadline_s: float


class Control:
    name = "control"

    def __init__(
        self,
        machine_id: str,
        questions: Questions,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine_id, self._questions = machine_id, questions
        self._clock = clock
        self._waiting: deque[Asked] = deque()
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        # A thread is at it; where the kernel does not let it go, it stays so.
        self._is_busy = False
        self._rest_s = self._heard_s = 0.0

    def call(self, channel: aio.Channel, proof: Proof) -> Call:
        return ControlServiceStub(channel).ManageStream(metadata=proof())

    async def talk(self, call: Call) -> None:
        self._waiting.clear()
        hello = pb.ControlHello(machine_id=self._machine_id, agent_version=__version__)
        await say_first(call, pb.ControlAnswer(hello=hello))
        worker = asyncio.create_task(self._work(call), name="control.worker")
        try:
            async for command in call:
                await self._hear(call, command)
                await self._breathe()
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError, aio.AioRpcError):
                await worker

    def part(self) -> None:
        self._questions.end()

    async def _hear(self, call: Call, command: pb.ControlCommand) -> None:
        kind = command.WhichOneof("body") or ""
        timeout_s = min(command.timeout_ms / 1000 or TIMEOUT_S, MAX_TIMEOUT_S)
        if not command.request:
            log.debug("control.nameless", kind=kind)
        elif kind in AT_ONCE:
            answer = self._answer(command, AT_ONCE[kind], timeout_s)
            await self._say(call, command, answer)
        elif kind not in IN_TURN:
            await self._say(call, command, refusal("This agent cannot answer that."))
        elif len(self._waiting) >= MAX_WAITING:
            await self._say(call, command, refusal("Too many questions at once."))
        else:
            deadline_s = self._clock() + timeout_s
            self._waiting.append(Asked(command, IN_TURN[kind], deadline_s))
            self._changed.set()

    async def _breathe(self) -> None:
        """Let nobody keep the agent busy by asking what costs little."""
        now_s = self._clock()
        self._heard_s = max(self._heard_s, now_s - AT_A_TIME * EVERY_S) + EVERY_S
        if self._heard_s > now_s:
            await asyncio.sleep(self._heard_s - now_s)

    async def _work(self, call: Call) -> None:
        while True:
            while not self._waiting:
                self._changed.clear()
                try:
                    async with asyncio.timeout(FORGET_S):
                        await self._changed.wait()
                except TimeoutError:
                    self._questions.forget()
            await self._answer_in_turn(call, self._waiting.popleft())
            rest_s, self._rest_s = self._rest_s, 0.0
            await asyncio.sleep(rest_s)

    async def _answer_in_turn(self, call: Call, asked: Asked) -> None:
        left_s = asked.deadline_s - self._clock()
        if left_s <= 0:
            return
        if self._is_busy:
            answer = refusal("An earlier question is still being answered.")
            await self._say(call, asked.command, answer)
            return
        self._is_busy = True
        work = partial(self._measured, asked.command, asked.answer, left_s)
        try:
            async with asyncio.timeout(left_s):
                answer = await in_thread("control", work)
        except TimeoutError:
            return
        await self._say(call, asked.command, answer)

    def _measured(
        self, command: pb.ControlCommand, answer: Answer, left_s: float
    ) -> pb.ControlAnswer:
        began_s = time.thread_time()
        try:
            return self._answer(command, answer, left_s)
        finally:
            self._rest_s = min(REST * (time.thread_time() - began_s), MAX_REST_S)
            self._is_busy = False

    def _answer(
        self, command: pb.ControlCommand, answer: Answer, left_s: float
    ) -> pb.ControlAnswer:
        try:
            return answer(self._questions, command, left_s)
        except Refused as refused:
            return refusal(str(refused))
        # Whatever a foreign machine's files hold, the next question is heard.
        except Exception:  # noqa: BLE001
            log.exception("control.failed", kind=command.WhichOneof("body"))
            return refusal("The agent failed at it; its log says how.")

    async def _say(
        self, call: Call, command: pb.ControlCommand, answer: pb.ControlAnswer
    ) -> None:
        answer.request = command.request
        async with self._writing:
            await call.write(answer)


def refusal(sentence: str) -> pb.ControlAnswer:
    return pb.ControlAnswer(refused=sentence)
