"""Every agent connects in the same instant: the hub was restarted."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hub.ingest.tests import wire
from hub.rpc.tests.agent import agent
from hub.rpc.tests.test_grpcserve import timescale_hub
from hub.testing.patience import PATIENCE_S
from hub.testing.services import redis

pytestmark = pytest.mark.process

AGENTS = 1000


async def test_a_thousand_agents_are_welcome_in_the_same_instant(
    tmp_path: Path,
) -> None:
    with (
        redis() as url,
        timescale_hub(tmp_path, url) as hub,
        hub.serving() as (_, port),
    ):
        async with AsyncExitStack() as stack:
            fleet = [
                await stack.enter_async_context(agent(port)) for _ in range(AGENTS)
            ]
            async with asyncio.timeout(3 * PATIENCE_S):
                await asyncio.gather(
                    *(
                        one.send(wire.hello(f"machine-{number}"))
                        for number, one in enumerate(fleet)
                    )
                )
                answers = await asyncio.gather(*(one.call.read() for one in fleet))

    assert all(answer.HasField("welcome") for answer in answers)
