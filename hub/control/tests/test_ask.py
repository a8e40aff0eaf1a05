"""Questions: to the right machine, answered once, never waited for in vain."""

from __future__ import annotations

import asyncio
import threading
import time

import grpc
import pytest
from sysmonstm_proto import metrics_pb2 as pb

from hub.control import ask as asking
from hub.control.ask import NoAnswer, NotConnected, ask
from hub.control.line import MAX_OUTSTANDING, MAX_STRAY
from hub.control.services import Control
from hub.control.tests.agent import Managed, channel, managed, serving
from hub.machines.models import Machine
from hub.testing.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


def ping() -> pb.ControlCommand:
    return pb.ControlCommand(ping=pb.Ping())


async def connected(server: Control, *machines: Machine) -> None:
    await until(lambda: all(one.pk in server.control.lines for one in machines))


async def test_a_question_is_answered(atlas: Machine) -> None:
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await connected(server, atlas)
        asked = asyncio.create_task(ask(atlas.pk, ping(), 30))
        command = await agent.command()
        assert command.HasField("ping")
        assert command.timeout_ms == 30_000

        await agent.answer(command.request, pong=pb.Pong(clock_unix_ms=7))

        assert (await asked).pong.clock_unix_ms == 7


async def test_an_agents_own_refusal_is_an_answer(atlas: Machine) -> None:
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await connected(server, atlas)
        asked = asyncio.create_task(ask(atlas.pk, ping(), 30))
        command = await agent.command()

        await agent.answer(command.request, refused="Not today.")

        assert (await asked).refused == "Not today."


async def test_an_answer_to_another_machines_question_is_dropped(
    atlas: Machine, nas: Machine
) -> None:
    async with (
        serving() as (server, port),
        managed(port, "atlas") as agent,
        managed(port, "nas") as thief,
    ):
        await connected(server, atlas, nas)
        asked = asyncio.create_task(ask(atlas.pk, ping(), 30))
        command = await agent.command()

        await thief.answer(command.request, pong=pb.Pong(clock_unix_ms=666))
        # Neither the wrong kind of answer nor a made-up number is taken.
        await agent.answer(command.request, processes=pb.ProcessList(total=3))
        await agent.answer(command.request + 1, pong=pb.Pong(clock_unix_ms=667))
        await asyncio.sleep(0.2)
        assert not asked.done()
        await agent.answer(command.request, pong=pb.Pong(clock_unix_ms=7))

        assert (await asked).pong.clock_unix_ms == 7
        # The thief's line goes on: a stray answer harms nobody.
        other = asyncio.create_task(ask(nas.pk, ping(), 30))
        await thief.answer((await thief.command()).request, pong=pb.Pong())
        assert (await other).HasField("pong")


async def test_who_goes_on_answering_what_nobody_asked_is_cut(
    atlas: Machine, nas: Machine
) -> None:
    async with (
        serving() as (server, port),
        managed(port, "atlas") as agent,
        managed(port, "nas") as flood,
    ):
        await connected(server, atlas, nas)
        for number in range(MAX_STRAY + 1):
            await flood.answer(number, pong=pb.Pong())

        code, sentence = await flood.end()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert sentence == "Nobody has asked for all these answers."
        asked = asyncio.create_task(ask(atlas.pk, ping(), 30))
        await agent.answer((await agent.command()).request, pong=pb.Pong())
        assert (await asked).HasField("pong")


async def test_a_late_answer_is_dropped_and_the_line_goes_on(atlas: Machine) -> None:
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await connected(server, atlas)
        with pytest.raises(NoAnswer, match="did not answer in time"):
            await ask(atlas.pk, ping(), 0.2)
        late = await agent.command()
        await agent.answer(late.request, pong=pb.Pong(clock_unix_ms=1))

        asked = asyncio.create_task(ask(atlas.pk, ping(), 30))
        command = await agent.command()
        await agent.answer(late.request, pong=pb.Pong(clock_unix_ms=2))
        await agent.answer(command.request, pong=pb.Pong(clock_unix_ms=3))

        assert (await asked).pong.clock_unix_ms == 3


async def test_nobody_waits_for_a_machine_that_is_not_connected(
    atlas: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "TAKEN_S", 0.5)
    async with serving():
        before = time.monotonic()

        with pytest.raises(NotConnected, match="not connected"):
            await ask(atlas.pk, ping(), 30)

        assert time.monotonic() - before < 15


async def test_whoever_asks_hears_at_once_that_the_agent_left(atlas: Machine) -> None:
    async with serving() as (server, port):
        async with managed(port, "atlas") as agent:
            await connected(server, atlas)
            asked = asyncio.create_task(ask(atlas.pk, ping(), 30))
            await agent.command()
        before = time.monotonic()

        with pytest.raises(NoAnswer, match="left before it answered"):
            await asked

        assert time.monotonic() - before < 15


async def test_what_is_asked_of_one_machine_is_bounded(atlas: Machine) -> None:
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await connected(server, atlas)
        asked = [
            asyncio.create_task(ask(atlas.pk, ping(), 30))
            for _ in range(MAX_OUTSTANDING)
        ]
        commands = [await agent.command() for _ in asked]

        with pytest.raises(NoAnswer, match="Too much"):
            await ask(atlas.pk, ping(), 30)

        for command in commands:
            await agent.answer(command.request, pong=pb.Pong())
        await asyncio.gather(*asked)
        again = asyncio.create_task(ask(atlas.pk, ping(), 30))
        await agent.answer((await agent.command()).request, pong=pb.Pong())
        assert (await again).HasField("pong")


async def test_the_newest_line_of_a_machine_is_asked(atlas: Machine) -> None:
    async with serving() as (server, port), managed(port, "atlas") as old:
        await connected(server, atlas)
        async with managed(port, "atlas") as new:
            code, sentence = await old.end()
            assert code is grpc.StatusCode.ABORTED
            assert "newer call" in sentence

            asked = asyncio.create_task(ask(atlas.pk, ping(), 30))
            await new.answer((await new.command()).request, pong=pb.Pong())

            assert (await asked).HasField("pong")


async def test_another_thread_with_a_loop_of_its_own_may_ask(atlas: Machine) -> None:
    """As a view does that runs outside the hub's loop."""
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await connected(server, atlas)
        found: list[pb.ControlAnswer] = []
        took: list[float] = []

        def other() -> None:
            before = time.monotonic()
            found.append(asyncio.run(ask(atlas.pk, ping(), 30)))
            took.append(time.monotonic() - before)

        thread = threading.Thread(target=other)
        thread.start()
        await agent.answer((await agent.command()).request, pong=pb.Pong())
        await asyncio.to_thread(thread.join)

        assert found[0].HasField("pong")
        assert took[0] < 20


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (pb.ControlAnswer(pong=pb.Pong()), "The first message"),
        (
            pb.ControlAnswer(hello=pb.ControlHello(machine_id="stranger")),
            "not said hello",
        ),
    ],
)
async def test_a_line_begins_with_hello_of_a_known_machine(
    db: None, first: pb.ControlAnswer, why: str
) -> None:
    from sysmonstm_proto.metrics_pb2_grpc import ControlServiceStub

    async with serving() as (server, port), channel(port) as made:
        call = ControlServiceStub(made).ManageStream()
        await call.write(first)

        _, sentence = await Managed(call).end()

        assert why in sentence
        await until(lambda: not len(server.control))
