"""MetricsService: samples come up, acknowledgements go down, states are read.

A stream is two tasks: the handler reads, checks and queues; `Acks.run` sends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import MetricsServiceServicer

from hub.events.errands import Errands
from hub.ingest import decode, states
from hub.ingest.acks import MachineGone
from hub.ingest.announce import Announcer
from hub.ingest.bookkeeper import Bookkeeper
from hub.ingest.caller import CALLER, Caller
from hub.ingest.decode import BadLayout, Known, Source
from hub.ingest.farewells import Farewells
from hub.ingest.greeter import Greeter
from hub.ingest.hello import BadHello
from hub.ingest.instants import Instants
from hub.ingest.isolate import HUB_FAULTS
from hub.ingest.learner import Learner
from hub.ingest.lookups import Lookups
from hub.ingest.open_call import Context
from hub.ingest.processes import Sightings
from hub.ingest.rations import Exhausted, Ration, Rations
from hub.ingest.stream import Stream
from hub.ingest.streams import Leaving, Streams, TooMany
from hub.ingest.writer import Chunk, Writer
from hub.log import get_logger
from hub.machines import registry
from hub.machines.newcomers import TooManyNew
from hub.machines.registry import NotIts
from hub.storage import layouts
from hub.storage.raw import Incoming

log = get_logger(__name__)

# An open connection that says nothing costs memory.
HELLO_S = 20.0

# An agent that changes its layout needs two at a time; more is a flood.
MAX_LAYOUTS = 16


class BadStream(Exception):
    """The stream broke the contract (permanent)."""


class MetricsServicer(MetricsServiceServicer):
    """The service of `metrics.proto`, over one writer."""

    def __init__(
        self,
        writer: Writer,
        announcer: Announcer,
        streams: Streams,
        books: Bookkeeper,
        sightings: Sightings,
        *,
        hello_s: float = HELLO_S,
    ) -> None:
        self._writer, self._streams, self._books = writer, streams, books
        self._sightings = sightings
        self._hello_s = hello_s
        self._lookups = Lookups()
        self._greeter = Greeter(
            streams, announcer, self._lookups, is_away=lambda: writer.away
        )
        self._learner = Learner(self._lookups, is_away=lambda: writer.away)
        self._rations = Rations()
        self._instants = Instants(announcer)
        self._farewells = Farewells(announcer, self._lookups)
        self._errands = Errands()

    async def close(self) -> None:
        self._instants.close()
        self._farewells.close()
        self._learner.close()
        await self._lookups.close()
        self._errands.cancel()

    # -- samples

    async def StreamMetrics(  # type: ignore[override]
        self, request_iterator: object, context: Context
    ) -> None:
        stream = Stream(context)
        caller = CALLER.get()
        try:
            self._streams.open(stream)
            if caller is None:
                await _unauthenticated(context)
            await self._serve(stream, context, caller)
        except (BadStream, BadHello, BadLayout) as bad:
            log.warning("stream.refused", machine=stream.machine, error=str(bad))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(bad))
        except NotIts as refused:
            log.warning("stream.not_its", peer=stream.peer, error=str(refused))
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refused))
        except DecodeError:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "That is not a MetricsRequest."
            )
        except (TooMany, TooManyNew) as refused:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(refused))
        except Exhausted as refused:
            await _wait(context, refused, stream)
        except Leaving as refused:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(refused))
        except HUB_FAULTS as fault:
            await _unavailable(context, fault)
        except grpc.aio.BaseError:
            # Ended from outside, or the agent is gone.
            raise
        except Exception:
            # One stream's failure is not the others'.
            log.exception("stream.failed", machine=stream.machine)
            await context.abort(
                grpc.StatusCode.INTERNAL, "The hub failed; see its log."
            )
        finally:
            self._streams.close(stream)

    async def _serve(self, stream: Stream, context: Context, caller: Caller) -> None:
        first = await self._first(stream, context)
        if first is None:
            return
        welcome = await self._greeter.welcome(stream, first, caller)
        if stream.ended:
            return
        await context.write(welcome)
        acker = self._errands.start(_send_acks(stream, context))
        try:
            last = await self._read(stream, context, welcome)
            if not stream.ended:
                # The agent has closed its side: it waits for the last word.
                await stream.acks.settled(last)
        finally:
            acker.cancel()
            # What it calls itself may be another's name.
            machine_id = caller.machine(first.machine_id)
            self._greeter.part(stream, machine_id)
            log.info("stream.closed", machine=machine_id, peer=stream.peer)

    async def _first(self, stream: Stream, context: Context) -> pb.Hello | None:
        """Return the Hello; None: the agent left before it said anything."""
        watchdog = asyncio.get_running_loop().call_later(
            self._hello_s, self._no_hello, stream
        )
        try:
            request = await context.read()
        finally:
            watchdog.cancel()
        if not isinstance(request, pb.MetricsRequest):
            return None
        if request.WhichOneof("body") != "hello":
            raise BadStream("The first message of a stream is Hello.")
        return request.hello

    def _no_hello(self, stream: Stream) -> None:
        sentence = f"No Hello within {self._hello_s:.0f} s."
        self._errands.start(stream.end(grpc.StatusCode.DEADLINE_EXCEEDED, sentence))

    async def _read(
        self, stream: Stream, context: Context, welcome: pb.StreamAck
    ) -> int:
        """Queue what comes until the agent closes; return the last number queued.

        The hot path: one await for a message that finds room.
        """
        known: dict[int, Known] = {}
        read, writer = context.read, self._writer
        acks, source = stream.acks, stream.source
        ration = self._rations.of(source.machine)
        last = queued = 0
        while isinstance(request := await read(), pb.MetricsRequest):
            kind = request.WhichOneof("body")
            if kind == "samples":
                batch = request.samples.samples
                ration.samples(request, len(batch))
                taken, refused, last = decode.samples(
                    batch, source, known, last=last, now_ms=_now_ms()
                )
                if writer.full and not await writer.room():
                    self._streams.lag(stream)
                if stream.lagging:
                    # Not acknowledged either: it resumes when the hub calls.
                    writer.show(taken)
                    continue
                if refused:
                    acks.refuse(refused)
                    await acks.room()
                if stream.ended or self._streams.leaving:
                    # Not acknowledged: the agent keeps it and sends it again.
                    break
                if taken or refused:
                    passed = decode.settled(refused, source) if refused else []
                    writer.offer(Chunk(acks, source, taken, last, passed))
                    queued = last
            elif kind == "live":
                ration.samples(request, 1)
                writer.show(_live(request.live, source, known))
            elif kind == "instant":
                self._instants.offer(stream, request.instant, known, _now_ms())
            elif kind == "account":
                reached = max(last, welcome.welcome.committed_sequence)
                self._books.report(stream, request.account, reached=reached)
            elif kind == "processes":
                self._sightings.offer(stream, request.processes, _now_ms())
            elif kind == "layout":
                known[request.layout.id] = await self._learn(request.layout, ration)
                if len(known) > MAX_LAYOUTS:
                    del known[next(iter(known))]
            elif kind == "goodbye":
                self._farewells.hear(stream, request.goodbye)
            elif kind == "hello":
                raise BadStream("Hello is said once.")
        if self._streams.leaving:
            # The end comes from outside, after the acknowledgements.
            await stream.over.wait()
        return queued

    async def _learn(self, message: pb.Layout, ration: Ration) -> Known:
        series = decode.layout(message)
        info = layouts.at_hand(series)
        if info is not None:
            return Known(info.id, 4 * len(series))
        ration.layout(message.ByteSize())
        return await self._learner.learn(series)

    # -- states

    async def GetCurrentState(
        self, request: pb.CurrentStateRequest, context: Any
    ) -> pb.MachineState:
        found = await self._states(context, request.machine_id)
        if not found:
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                "No such machine, or it has not sent a sample yet.",
            )
        return found[0]

    async def GetAllStates(
        self, request: pb.AllStatesRequest, context: Any
    ) -> AsyncIterator[pb.MachineState]:
        for state in await self._states(context):
            yield state

    async def _states(
        self, context: Any, machine_id: str | None = None
    ) -> list[pb.MachineState]:
        caller = CALLER.get()
        user = caller.user if caller else None
        if user is None:
            await _unauthenticated(context)
        machines = registry.visible_to(user)
        if machine_id is not None:
            machines = machines.filter(machine_id=machine_id)
        try:
            return await self._lookups.call(states.newest, machines)
        except HUB_FAULTS as fault:
            await _unavailable(context, fault)


async def _send_acks(stream: Stream, context: Context) -> None:
    try:
        await stream.acks.run(context.write)
    except MachineGone:
        await stream.end(
            grpc.StatusCode.ABORTED, "The machine was removed; say Hello again."
        )
    except (grpc.aio.BaseError, asyncio.InvalidStateError):
        # The agent has left, or the stream was ended: its reader sees that too.
        return


def _live(
    sample: pb.Sample, source: Source, known: Mapping[int, Known]
) -> list[Incoming]:
    """Return a sample that is to be shown, or nothing: it comes again in order."""
    return decode.samples([sample], source, known, last=0, now_ms=_now_ms()).taken


async def _unauthenticated(context: Any) -> NoReturn:
    """No interceptor has let this call in: the door stays shut."""
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Who is calling?")
    raise AssertionError("abort raises")


async def _wait(context: Any, refused: Exhausted, stream: Stream) -> NoReturn:
    log.warning("stream.exhausted", machine=stream.machine, error=str(refused))
    after = (("retry-after", str(refused.retry_after_s)),)
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(refused), after)
    raise AssertionError("abort raises")


async def _unavailable(context: Any, fault: Exception) -> NoReturn:
    log.warning("call.unavailable", error=repr(fault))
    await context.abort(
        grpc.StatusCode.UNAVAILABLE, "The hub cannot reach its database now."
    )
    raise AssertionError("abort raises")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
