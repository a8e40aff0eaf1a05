"""Samples every second while somebody watches, beside those that are stored."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from array import array
from collections.abc import Iterator
from pathlib import Path

from sysmonstm_agent.client import Client
from sysmonstm_agent.layout import Sample
from sysmonstm_agent.live_mode import LiveMode
from sysmonstm_agent.metric import Metric, Reading
from sysmonstm_agent.sampler import Sampler
from sysmonstm_proto import metrics_pb2 as pb

from tests.hub import Conversation, Hub
from tests.patience import until, wait_until
from tests.talking import MACHINE, config, sample, spool_of
from tests.whole_hub import WholeHub, agent_of

HEAT = Metric("system.temperature", "Cel", "How hot it is.")


class Fan:
    name = "fan"
    metrics: tuple[Metric, ...] = (HEAT,)

    def __init__(self) -> None:
        self.runs = 0

    def collect(self, now_s: float) -> Iterator[Reading]:
        self.runs += 1
        yield Reading(HEAT, self.runs)


class Told:
    """Live mode with a fan, and what it told."""

    def __init__(self) -> None:
        self.fans: list[Fan] = []
        self.count = 0
        self.live = LiveMode(self._make, told=self._tell, least_s=0.02)

    def _make(self) -> Sampler:
        self.fans.append(Fan())
        return Sampler([self.fans[-1]])

    def _tell(self) -> None:
        self.count += 1


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_nothing_runs_without_a_lease() -> None:
    told = Told()

    assert not told.live.on
    assert told.live.instant() is None
    # One that a test before has ended may take a moment.
    wait_until(lambda: "live" not in threads())


def test_it_ends_by_itself() -> None:
    told = Told()

    told.live.lease(0.02, 0.5)

    wait_until(lambda: not told.live.on)
    wait_until(lambda: "live" not in threads())
    assert told.count >= 2


def test_a_later_lease_replaces_an_earlier_one() -> None:
    told = Told()
    told.live.lease(0.02, 30)
    wait_until(lambda: told.count >= 2)

    told.live.lease(0.02, 0)

    wait_until(lambda: not told.live.on)
    assert told.live.instant() is None
    assert len(told.fans) == 1


def test_no_more_is_granted_than_there_may_be() -> None:
    live = LiveMode(lambda: Sampler([]), told=lambda: None)

    assert live.lease(0.001, 3_600) == (1.0, 60)
    assert live.lease(4_000_000, -1) == (300, 0)


def test_the_newest_wins_where_nobody_takes_them() -> None:
    told = Told()
    told.live.lease(0.02, 30)

    wait_until(lambda: told.count >= 5)
    newest = told.live.instant()
    told.live.lease(0, 0)

    assert newest is not None
    # Duration, success, and the count of runs, of which the first only begins.
    assert array("f", newest.values)[2] >= 6


def test_a_sample_that_fails_is_not_the_end() -> None:
    told = Told()
    make, fails = told._make, [ZeroDivisionError("a bug"), None]

    def broken() -> Sampler:
        if error := fails.pop(0):
            raise error
        return make()

    told.live._make = broken
    told.live.lease(0.02, 30)

    wait_until(lambda: told.count)
    told.live.lease(0, 0)


def test_other_settings_have_it_measured_by_others() -> None:
    told = Told()
    told.live.lease(0.02, 30)
    wait_until(lambda: told.count)

    told.live.renew()

    wait_until(lambda: len(told.fans) == 2 and told.fans[1].runs > 1)
    told.live.lease(0, 0)


async def test_instants_come_over_the_stream_and_the_stored_ones_keep_their_step(
    tmp_path: Path,
) -> None:
    slow = {"COLLECTOR_COLLECTION_INTERVAL": "1"}
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path, slow) as agent:
        agent._live._least_s = 0.05
        wanted = pb.LiveMode(interval_ms=50, lease_ms=60_000)
        granted = (await hub.controls.ask(live_mode=wanted)).live_mode
        assert (granted.interval_ms, granted.lease_ms) == (50, 60_000)
        await until(lambda: len(hub.metrics.of("instant")) >= 20)
        await until(lambda: len(hub.metrics.sequences) >= 3)
        ended = await hub.controls.ask(live_mode=pb.LiveMode())
        assert ended.live_mode.lease_ms == 0

        instants = [message.instant for message in hub.metrics.of("instant")]
        assert {one.sequence for one in instants} == {0}
        layouts = {m.layout.id: m.layout for m in hub.metrics.of("layout")}
        # The same series as are stored need no second layout.
        assert len(layouts) == 1
        series = len(layouts[instants[0].layout].series)
        assert {len(one.values) for one in instants} == {4 * series}
        times = [one.time_unix_ms for one in instants]
        assert times == sorted(set(times))
        # Without holes, a second apart, none of them an instant.
        stored = [s for m in hub.metrics.of("samples") for s in m.samples.samples]
        assert [s.sequence for s in stored] == [*range(1, len(stored) + 1)]
        # Only the first can have been late by up to a step.
        took_ms = stored[-1].time_unix_ms - stored[0].time_unix_ms
        assert took_ms > 1_000 * (len(stored) - 2)


async def test_it_ends_with_the_control_stream(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path) as agent:
        lease = pb.LiveMode(interval_ms=1_000, lease_ms=60_000)
        await hub.controls.ask(live_mode=lease)
        assert agent._live.on

        hub.controls.hang_up()

        await until(lambda: not agent._live.on)


class Endless:
    """Has a large sample each time that it is asked."""

    taken = 0

    def instant(self) -> Sample:
        self.taken += 1
        return sample(size=50_000)


async def test_a_hub_that_does_not_read_makes_no_queue() -> None:
    live, stuck = Endless(), asyncio.Event()

    async def deaf(talk: Conversation) -> None:
        await talk.welcome()
        await stuck.wait()

    async with Hub(deaf).serving() as hub:
        client = Client(config(hub.port), MACHINE, spool_of(0), live=live)
        task = asyncio.create_task(client.run())
        await until(lambda: live.taken)
        before = -1
        # What the transport buffers, and then none any more.
        while live.taken != before:
            before = live.taken
            for _ in range(50):
                client.wake()
                await asyncio.sleep(0.002)
        assert live.taken < 500
        stuck.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
