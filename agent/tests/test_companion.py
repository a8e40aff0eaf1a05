"""What goes on beside the samples ends with them, at whatever moment that is."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from grpc import aio
from sysmonstm_agent.channel import say_first
from sysmonstm_agent.companion import Companions, Proof
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ControlServiceStub

from tests.patience import PATIENCE_S, until

NOBODY = "127.0.0.1:1"


class Stuck:
    """Does not end with its call."""

    name = "stuck"

    def __init__(self) -> None:
        self.began, self.parted = asyncio.Event(), False

    def call(self, channel: aio.Channel, proof: Proof) -> Any:
        return ControlServiceStub(channel).ManageStream(metadata=proof())

    async def talk(self, call: Any) -> None:
        self.began.set()
        await asyncio.Event().wait()

    def part(self) -> None:
        self.parted = True


async def test_a_call_that_ends_before_its_first_word_holds_nobody() -> None:
    # A line that never comes up: nobody takes it here.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with aio.insecure_channel(address) as channel:
            call = ControlServiceStub(channel).ManageStream()
            writing = asyncio.create_task(say_first(call, pb.ControlAnswer()))
            await asyncio.sleep(0.05)
            call.cancel()
            await asyncio.wait({writing}, timeout=PATIENCE_S / 2)

            assert isinstance(writing.exception(), asyncio.InvalidStateError)


async def test_an_agent_that_ends_while_it_parts_leaves_nothing_behind() -> None:
    stuck = Stuck()
    companions = Companions((stuck,))
    async with aio.insecure_channel(NOBODY) as channel:
        companions.meet(channel, tuple)
        await stuck.began.wait()
        parting = asyncio.create_task(companions.part())
        await asyncio.sleep(0)
        parting.cancel()
        await asyncio.wait({parting})

        assert parting.cancelled()
        await until(lambda: stuck.parted)
