"""Who is revoked is cut off, wherever and however that was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from pytest_django import Settings
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ConfigServiceStub, ControlServiceStub

from hub.events.bus import set_bus
from hub.events.redis_streams import RedisStreamsBus
from hub.ingest.tests import wire
from hub.machines import authority, credentials
from hub.machines.models import Machine
from hub.rpc.authenticate import DENIED
from hub.rpc.calls import REPLACED, Calls
from hub.rpc.roster import POLL_S
from hub.rpc.tests.agent import agent as plain_agent
from hub.rpc.tests.agent import serving
from hub.rpc.tests.trusted import Trust, agent, bearer, channel, enrolled, rotate
from hub.rpc.tests.trusted import agents_secret as new_secret
from hub.storage.models import Sample
from hub.testing.patience import PATIENCE_S, until
from hub.testing.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True)

CUT = (grpc.StatusCode.UNAUTHENTICATED, DENIED)
PROMISED_S = 5.0


@pytest.fixture
def trust(settings: Settings, tmp_path: Path) -> Trust:
    settings.DATA_DIR = tmp_path
    settings.GRPC_TLS = "on"
    settings.AGENT_TOKEN = "a-shared-token"
    return Trust(authority.ca_pem().encode())


@pytest.fixture
def _no_bus() -> Any:
    """Redis is away, really: nobody listens there."""
    set_bus(RedisStreamsBus(f"redis://127.0.0.1:{free_port()}/0"))
    yield
    set_bus(None)


revoke = sync_to_async(credentials.revoke)


@sync_to_async
def delete(pk: int, by: None) -> None:
    Machine.objects.get(pk=pk).delete()


@asynccontextmanager
async def all_three(
    port: int, trust: Trust, secret: str
) -> AsyncIterator[Callable[[], Any]]:
    """Open every kind of stream of an agent; yield what waits for their ends."""
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(agent(port, trust, secret))
        await web.hello()
        made = await stack.enter_async_context(channel(port, trust))
        watching = ConfigServiceStub(made).WatchConfig(
            pb.WatchConfigRequest(), metadata=bearer(secret)
        )
        await watching.read()
        managing = ControlServiceStub(made).ManageStream(metadata=bearer(secret))
        await managing.write(pb.ControlAnswer(hello=pb.ControlHello()))

        async def over(call: Any) -> tuple[grpc.StatusCode, str]:
            # Not `code()` alone: some of what was said before is still to be read.
            while True:
                try:
                    if await call.read() is grpc.aio.EOF:
                        return await call.code(), await call.details()
                except grpc.aio.AioRpcError as error:
                    return error.code(), error.details() or ""

        async def ends() -> list[tuple[grpc.StatusCode, str]]:
            calls = (web.call, watching, managing)
            return list(await asyncio.gather(*(over(call) for call in calls)))

        yield ends


async def test_every_stream_of_a_revoked_agent_ends_and_none_opens_again(
    trust: Trust,
) -> None:
    secret, pk = await enrolled("web-1")
    other, _ = await enrolled("web-2")

    async with (
        serving() as (server, port),
        agent(port, trust, other) as bystander,
        all_three(port, trust, secret) as ends,
    ):
        await bystander.hello()
        await bystander.send(wire.layout("/"))
        await revoke(pk, None)
        ended = await asyncio.wait_for(ends(), PATIENCE_S)
        async with agent(port, trust, secret) as again:
            refused = await again.end()
        await bystander.send(wire.ticks([1], (0.5,)))
        await bystander.acked(1)
        await until(lambda: server.streams == 1)

    assert ended == [CUT] * 3
    assert refused == CUT


@pytest.mark.usefixtures("_no_bus")
@pytest.mark.parametrize("how", [revoke, delete])
async def test_it_ends_in_time_while_the_bus_is_away_or_nobody_said_so(
    trust: Trust, how: Callable[[int, None], Any]
) -> None:
    secret, pk = await enrolled("web-1")

    async with serving() as (_, port), all_three(port, trust, secret) as ends:
        await how(pk, None)
        ended = await asyncio.wait_for(ends(), PATIENCE_S)
        async with agent(port, trust, secret) as again:
            refused = await again.end()

    assert POLL_S < PROMISED_S / 2
    assert ended == [CUT] * 3
    assert refused == CUT
    # Nor has it come back as somebody without a credential.
    assert await Machine.objects.filter(last_hello__gt=timezone.now()).acount() == 0


async def test_nothing_that_comes_after_the_cut_is_stored(trust: Trust) -> None:
    secret, pk = await enrolled("web-1")

    async with serving() as (_, port), agent(port, trust, secret) as web:
        await web.hello()
        await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
        await web.acked(1)
        await revoke(pk, None)
        assert await web.end() == CUT
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await web.send(wire.ticks(range(2, 50), (0.5,)))
        # What was under way arrives within this, if it ever does.
        await asyncio.sleep(0.2)

    assert await Sample.objects.acount() == 1


async def test_on_the_hubs_own_machine_a_revoked_agent_is_cut_as_well(
    settings: Settings,
) -> None:
    # Where whoever comes without a secret is trusted.
    settings.AGENT_TOKEN = ""
    secret, pk = await enrolled("web-1")

    async with serving() as (_, port), plain_agent(port, bearer(secret)) as web:
        await web.hello()
        await revoke(pk, None)
        assert await web.end() == CUT
        async with plain_agent(port, bearer(secret)) as again:
            assert await again.end() == CUT
        async with plain_agent(port) as again:
            await again.send(wire.hello("web-1"))
            without, _ = await again.end()

    assert without == grpc.StatusCode.PERMISSION_DENIED


async def test_a_stream_does_not_outlive_its_replaced_secret(trust: Trust) -> None:
    secret, _ = await enrolled("web-1")
    new = new_secret()

    async with serving() as (server, port), agent(port, trust, secret) as old:
        await old.hello()
        await rotate(port, trust, secret, new)
        calls: Calls = server._authenticator.calls
        await until(lambda: any(one.holder and one.holder.until for one in calls._open))
        over = timezone.now() + credentials.OVERLAP
        sweeping = asyncio.create_task(calls.sweep(every_s=0.01, now=lambda: over))
        ended = await old.end()
        async with agent(port, trust, new) as fresh:
            await fresh.hello()
            await asyncio.sleep(0.1)
            await until(lambda: server.streams == 1)
        sweeping.cancel()

    # Not UNAUTHENTICATED: its agent has the new one, and comes back with that.
    assert ended == (grpc.StatusCode.UNAVAILABLE, REPLACED)
