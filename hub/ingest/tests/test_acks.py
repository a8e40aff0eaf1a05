from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest.acks import MAX_REFUSALS, Acks, MachineGone
from hub.ingest.decode import Refused


class Agent:
    """The other side: keeps what it was told, and may be slow."""

    def __init__(self) -> None:
        self.told: list[pb.StreamAck] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def send(self, message: pb.StreamAck) -> None:
        await self.reads.wait()
        self.told.append(message)

    def words(self) -> list[tuple[str, int]]:
        return [
            ("ack", message.ack.committed_sequence)
            if message.HasField("ack")
            else ("refusal", message.refusal.sequence)
            if message.HasField("refusal")
            else ("reconnect", message.reconnect.after_ms)
            for message in self.told
        ]


@asynccontextmanager
async def sending(acks: Acks, agent: Agent) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(acks.run(agent.send))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def refused(sequence: int) -> Refused:
    return Refused(sequence, pb.REFUSAL_REASON_WRONG_LENGTH, "Too short.")


async def test_a_slow_reader_gets_only_the_newest_number() -> None:
    acks, agent = Acks(), Agent()
    agent.reads.clear()

    async with sending(acks, agent):
        for sequence in (1, 2, 3):
            acks.commit(sequence)
            await asyncio.sleep(0)
        agent.reads.set()
        await acks.settled(3)

    assert agent.words()[-1] == ("ack", 3)
    assert len(agent.told) <= 2


async def test_refusals_come_before_the_ack_that_passes_them() -> None:
    acks, agent = Acks(), Agent()

    async with sending(acks, agent):
        acks.refuse([refused(1), refused(2)])
        acks.commit(3)
        acks.reconnect(1000)
        await acks.flushed()

    assert agent.words() == [
        ("refusal", 1),
        ("refusal", 2),
        ("ack", 3),
        ("reconnect", 1000),
    ]


async def test_a_number_never_goes_back() -> None:
    acks, agent = Acks(), Agent()

    async with sending(acks, agent):
        acks.commit(5)
        await acks.settled(5)
        acks.commit(4)
        acks.commit(5)
        await acks.flushed()

    assert agent.words() == [("ack", 5)]


async def test_too_many_refusals_stop_the_reader_until_they_are_sent() -> None:
    acks, agent = Acks(), Agent()
    agent.reads.clear()

    async with sending(acks, agent):
        acks.refuse(refused(n) for n in range(1, MAX_REFUSALS + 1))
        waiting = asyncio.create_task(acks.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        agent.reads.set()
        await waiting

    assert agent.told


async def test_nobody_waits_for_an_agent_that_has_left() -> None:
    acks = Acks()

    async def broken(message: pb.StreamAck) -> None:
        raise ConnectionError

    task = asyncio.create_task(acks.run(broken))
    acks.commit(1)

    await acks.settled(1)
    await acks.flushed()
    with pytest.raises(ConnectionError):
        await task


async def test_a_machine_that_is_gone_ends_the_way_down() -> None:
    acks, agent = Acks(), Agent()

    async with sending(acks, agent) as task:
        acks.machine_gone()
        with pytest.raises(MachineGone):
            await task

    assert agent.told == []
