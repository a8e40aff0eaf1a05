"""Questions for a machine's agent: which processes were busy around a moment?

Anybody may ask by an event; of several processes the one that holds the machine's
stream passes it on. The answer comes as the event PROCESSES_SEEN, or not at all:
the machine may be away, and its agent of a version that does not know the question.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson
from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from hub.events import listening
from hub.events.bus import Bus
from hub.events.event import PROCESSES_ASK, Event
from hub.ingest.streams import Streams

MAX_NUMBER = 2**63 - 1


class Question(NamedTuple):
    machine: int
    around_ms: int
    request: int


def question(payload: bytes) -> Question:
    """Read an event; raises ValueError."""
    told = orjson.loads(payload)
    try:
        numbers = [told[name] for name in Question._fields]
    except (KeyError, TypeError) as missing:
        raise ValueError(f"a question without {missing}") from missing
    if not all(type(number) is int and abs(number) <= MAX_NUMBER for number in numbers):
        raise ValueError("a question of something else than numbers")
    asked = Question(*numbers)
    if asked.request <= 0:
        raise ValueError("a question without a number")
    return asked


def event(asked: Question) -> Event:
    return Event(PROCESSES_ASK, orjson.dumps(asked._asdict()))


async def listen(bus: Bus, streams: Streams) -> None:
    """Pass questions on to our streams, until cancelled."""
    await listening.listen(
        bus, PROCESSES_ASK, lambda told: _pass_on(told, streams), name="asking"
    )


def _pass_on(told: Event, streams: Streams) -> None:
    asked = question(told.payload)
    stream = streams.of(asked.machine)
    if stream is None or stream.ended:
        return
    # The agent has its own clock.
    around_ms = asked.around_ms + stream.clock_skew_ms
    stream.acks.ask(
        pb.ProcessesAsked(
            request=asked.request,
            around_unix_ms=max(0, min(around_ms, MAX_NUMBER)),
            limit=limits.MAX_PROCESSES,
        )
    )
