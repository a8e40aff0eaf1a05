from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import grpc
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import MetricsServiceStub

from hub.ingest.tests import wire
from hub.machines.models import Machine, Sight, Tag
from hub.people import tokens
from hub.people.owner import owner
from hub.rpc.tests.agent import Metadata, agent, channel, serving

pytestmark = pytest.mark.django_db(transaction=True)


async def current(port: int, machine_id: str, metadata: Metadata = ()) -> Any:
    async with channel(port) as made:
        request = pb.CurrentStateRequest(machine_id=machine_id)
        return await MetricsServiceStub(made).GetCurrentState(
            request, metadata=metadata
        )


async def everything(port: int, metadata: Metadata = ()) -> list[pb.MachineState]:
    async with channel(port) as made:
        call = MetricsServiceStub(made).GetAllStates(
            pb.AllStatesRequest(), metadata=metadata
        )
        return [state async for state in call]


async def send_one(port: int, machine_id: str, metadata: Metadata = ()) -> None:
    async with agent(port, metadata) as web:
        await web.hello(machine_id)
        values = (0.5, math.nan, 0.25)
        await web.send(
            wire.layout("/", "/cdrom", "/home"), wire.samples(wire.sample(1, *values))
        )
        await web.acked(1)


async def test_the_state_of_one_machine_is_complete() -> None:
    async with serving() as (_, port):
        await send_one(port, "web-1")
        state = await current(port, "web-1")

    assert state.machine_id == "web-1"
    assert abs(state.time_unix_ms - wire.now_ms()) < 10_000
    assert state.received_unix_ms >= state.time_unix_ms
    assert [(dict(r.attributes), r.value) for r in state.readings] == [
        ({"mountpoint": "/"}, 0.5),
        ({"mountpoint": "/home"}, 0.25),
    ]
    assert state.readings[0].metric == pb.Metric(
        name="system.filesystem.utilization",
        unit="1",
        kind=pb.KIND_GAUGE,
        help="Share of the filesystem that is used.",
    )


@pytest.mark.parametrize("machine_id", ["nobody", "", "silent"])
async def test_a_machine_without_a_sample_is_not_found(machine_id: str) -> None:
    async with serving() as (_, port), agent(port) as silent:
        await silent.hello("silent")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await current(port, machine_id)

    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


async def test_all_states_come_in_order_of_their_names() -> None:
    async with serving() as (_, port):
        for machine_id in ("web-2", "db", "web-1"):
            await send_one(port, machine_id)
        states = await everything(port)

    assert [state.machine_id for state in states] == ["db", "web-1", "web-2"]


TOKEN = "agent-secret"


async def test_states_are_read_with_a_persons_token(settings: Settings) -> None:
    settings.AGENT_TOKEN = TOKEN
    secret = await sync_to_async(lambda: tokens.create("ci", owner()))()
    expired = await sync_to_async(
        lambda: tokens.create(
            "old", owner(), expires_at=timezone.now() - timedelta(seconds=1)
        )
    )()

    async with serving() as (_, port):
        await send_one(port, "web-1", (("authorization", f"Bearer {TOKEN}"),))
        seen = await everything(port, (("authorization", f"Bearer {secret}"),))
        codes = []
        for wrong in (expired, TOKEN, secret + " ", "smt_x", ""):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await everything(port, (("authorization", f"Bearer {wrong}"),))
            codes.append(raised.value.code())

    assert [state.machine_id for state in seen] == ["web-1"]
    assert codes == [grpc.StatusCode.UNAUTHENTICATED] * 5


async def test_a_person_limited_to_some_machines_reads_those_only() -> None:
    def limited() -> str:
        ada = User.objects.create_user("ada")
        tag = Tag.objects.create(name="shop")
        Sight.objects.create(user=ada).tags.add(tag)
        Machine.objects.get(machine_id="web-1").tags.add(tag)
        return tokens.create("of ada", ada)

    async with serving() as (_, port):
        for machine_id in ("web-1", "db"):
            await send_one(port, machine_id)
        secret = await sync_to_async(limited)()
        bearer = (("authorization", f"Bearer {secret}"),)
        states = await everything(port, bearer)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await current(port, "db", bearer)

    assert [state.machine_id for state in states] == ["web-1"]
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
