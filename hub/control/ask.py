"""Ask a machine's agent something, from any process, and get its answer.

answer = await ask(machine.pk, pb.ControlCommand(ping=pb.Ping()), 5.0)
"""

from __future__ import annotations

import asyncio

from google.protobuf.message import DecodeError
from sysmonstm_proto import metrics_pb2 as pb

from hub.control import post
from hub.control.post import Message, NobodyListens, PostDown

# Within this the process that holds the machine's line says so.
TAKEN_S = 1.5
# An agent answers within a command's time; this is for the way.
WAY_S = 0.5
MAX_TIMEOUT_S = 30.0


class NoAnswer(Exception):
    """There is none (temporary); the text is a sentence for people."""


class NotConnected(NoAnswer):
    """No process holds a line to this machine's agent."""


POST_AWAY = (
    "The processes of this hub cannot reach each other: Redis does not answer. "
    "Try again when it is back."
)
NOBODY = "No part of this hub listens to agents now."
NO_LINE = "Its agent is not connected for questions."
BUSY = "Too much is asked of this machine at once. Try again in a moment."
GONE = "Its agent left before it answered."
LATE = "Its agent did not answer in time."


async def ask(
    machine: int, command: pb.ControlCommand, timeout_s: float = 5.0
) -> pb.ControlAnswer:
    """Return what the agent says; `refused` in it is its own word.

    Raises NoAnswer, NotConnected. Takes `timeout_s` and a second at most.
    """
    timeout_s = min(timeout_s, MAX_TIMEOUT_S)
    body = command.SerializeToString()
    try:
        answer = await post.at_home(lambda: _exchange(machine, body, timeout_s))
    except NobodyListens:
        raise NotConnected(NOBODY) from None
    except PostDown as down:
        raise NoAnswer(POST_AWAY) from down
    try:
        return pb.ControlAnswer.FromString(answer)
    except DecodeError as garbled:
        raise NoAnswer("What came back was no answer.") from garbled


async def _exchange(machine: int, body: bytes, timeout_s: float) -> bytes:
    loop = asyncio.get_running_loop()
    box = await post.open_box()
    question: Message = {
        "type": "control.command",
        "machine": machine,
        "command": body,
        "timeout_s": timeout_s,
        "reply": box,
    }
    await post.tell_all(question)
    until_s = loop.time() + min(TAKEN_S, timeout_s)
    takers = 0
    while True:
        try:
            said = await post.receive(box, max(0.0, until_s - loop.time()))
        except TimeoutError:
            raise NoAnswer(LATE) if takers else NotConnected(NO_LINE) from None
        match said.get("type"):
            case "control.answer":
                return bytes(said["answer"])
            case "control.taken":
                takers += 1
                until_s = loop.time() + timeout_s + WAY_S
            case "control.busy" if not takers:
                raise NoAnswer(BUSY)
            case "control.gone":
                # Another process may hold a newer line of this machine.
                takers -= 1
                if takers <= 0:
                    raise NoAnswer(GONE)
