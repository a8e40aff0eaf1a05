"""Questions of other processes, put to the lines that this one holds."""

from __future__ import annotations

import asyncio

from google.protobuf.message import DecodeError
from sysmonstm_proto import metrics_pb2 as pb

from hub.control import post
from hub.control.control import ControlServicer
from hub.control.line import ANSWERS, Busy
from hub.control.post import Message, PostDown
from hub.events.errands import Errands
from hub.log import get_logger

log = get_logger(__name__)

# Answers on their way to other processes; beyond it questions are left alone, and
# whoever asked hears in time that there is no answer.
MAX_SENDING = 200


class Answering:
    def __init__(self, servicer: ControlServicer) -> None:
        self._servicer = servicer
        # In the order of each question: "taken" before the answer.
        self._sending = Errands()

    def hear(self, question: Message) -> None:
        """Pass a question on, if it is about a machine of ours; never raises."""
        line = self._servicer.lines.get(question.get("machine", 0))
        if line is None or line.ended:
            return
        if len(self._sending) >= MAX_SENDING:
            log.warning("control.overrun", machine=line.machine_id)
            return
        try:
            command = pb.ControlCommand.FromString(question["command"])
            reply, timeout_s = str(question["reply"]), float(question["timeout_s"])
        except (KeyError, TypeError, ValueError, DecodeError) as garbled:
            log.warning("control.garbled", error=str(garbled))
            return
        if command.WhichOneof("body") not in ANSWERS:
            return
        asked: asyncio.Future[pb.ControlAnswer | None] = (
            asyncio.get_running_loop().create_future()
        )

        def told(answer: pb.ControlAnswer | None) -> None:
            if not asked.done():
                asked.set_result(answer)

        try:
            line.ask(command, told, timeout_s)
        except Busy:
            self._sending.start(_send(reply, {"type": "control.busy"}))
        else:
            self._sending.start(_reply(reply, asked, timeout_s))

    def close(self) -> None:
        self._sending.cancel()


async def _reply(
    reply: str, asked: asyncio.Future[pb.ControlAnswer | None], timeout_s: float
) -> None:
    await _send(reply, {"type": "control.taken"})
    try:
        async with asyncio.timeout(timeout_s):
            answer = await asked
    except TimeoutError:
        return
    if answer is None:
        await _send(reply, {"type": "control.gone"})
    else:
        body = answer.SerializeToString()
        await _send(reply, {"type": "control.answer", "answer": body})


async def _send(reply: str, message: Message) -> None:
    try:
        await post.send(reply, message)
    except PostDown as down:
        log.warning("control.unsent", error=str(down))
    except Exception:
        # A reply that nobody can take must not end the others.
        log.exception("control.unsent")
