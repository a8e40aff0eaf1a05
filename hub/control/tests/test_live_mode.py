"""Who is watched is asked for a sample each second, once for all who watch."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from sysmonstm_proto import metrics_pb2 as pb

from hub.control.control import ControlServicer
from hub.control.live_mode import AGAIN_S, REFUSED_S, LiveMode
from hub.control.services import Control
from hub.control.tests.agent import managed, serving
from hub.events.bus import get_bus
from hub.events.event import MACHINES_WATCHED, Event
from hub.machines.models import Machine
from hub.testing.patience import PATIENCE_S, until

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def connected(server: Control, *machines: Machine) -> None:
    await until(lambda: all(one.pk in server.control.lines for one in machines))
    # Who is watched is heard of from a moment after the start.
    await asyncio.sleep(0.3)


async def watched(*pks: object) -> None:
    payload = orjson.dumps({"pks": pks})
    await get_bus().publish(Event(MACHINES_WATCHED, payload))


async def test_a_machine_that_is_watched_is_asked_once_for_all(
    atlas: Machine, nas: Machine
) -> None:
    async with (
        serving() as (server, port),
        managed(port, "atlas") as agent,
        managed(port, "nas") as other,
    ):
        await connected(server, atlas, nas)
        # Nonsense ends nothing.
        await get_bus().publish(Event(MACHINES_WATCHED, b"[]"))
        await watched("x")
        for _watcher in range(3):
            await watched(atlas.pk, 10**6)

        command = await agent.command()
        assert command.live_mode == pb.LiveMode(interval_ms=1000, lease_ms=15_000)
        live = pb.LiveModeSet(interval_ms=1000, lease_ms=15_000)
        await agent.answer(command.request, live_mode=live)
        reading = asyncio.ensure_future(agent.call.read())
        elsewhere = asyncio.ensure_future(other.call.read())
        done, _ = await asyncio.wait({reading, elsewhere}, timeout=0.3)
        assert not done


async def test_a_lease_is_granted_again_in_time_and_a_refusal_is_respected(
    atlas: Machine,
) -> None:
    clock = Clock()
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await connected(server, atlas)
        live = LiveMode(get_bus(), server.control, clock=clock)

        live.grant([atlas.pk])
        assert (await agent.command()).HasField("live_mode")
        clock.now_s += AGAIN_S + 0.1
        live.grant([atlas.pk])
        second = await agent.command()
        assert second.HasField("live_mode")

        await agent.answer(second.request, refused="Not here.")
        await until_refused(server.control, atlas, clock)
        clock.now_s += REFUSED_S - 0.1
        live.grant([atlas.pk])
        reading = asyncio.ensure_future(agent.call.read())
        done, _ = await asyncio.wait({reading}, timeout=0.2)
        assert not done
        clock.now_s += 0.2
        live.grant([atlas.pk])
        assert (await reading).HasField("live_mode")


async def until_refused(
    servicer: ControlServicer, machine: Machine, clock: Clock
) -> None:
    line = servicer.lines[machine.pk]
    async with asyncio.timeout(PATIENCE_S):
        while line.live_again_s < clock.now_s + REFUSED_S:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
