"""Whose settings and questions these are is decided by the credential alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ConfigServiceStub, ControlServiceStub

from hub.control import edit
from hub.control.ask import NotConnected, ask
from hub.control.models import Standing
from hub.machines import authority
from hub.machines.models import Machine
from hub.rpc.tests.agent import serving
from hub.rpc.tests.trusted import Trust, bearer, channel, enrolled
from hub.testing.patience import PATIENCE_S, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trust(settings: Settings, tmp_path: Path) -> Trust:
    settings.DATA_DIR = tmp_path
    settings.GRPC_TLS = "on"
    return Trust(authority.ca_pem().encode())


@sync_to_async
def labelled(pk: int, text: str) -> None:
    machine = Machine.objects.get(pk=pk)
    edit.save(edit.settings_of(machine), {"labels": {"of": text}}, by=None)


async def test_an_agent_that_names_another_machine_stays_itself(trust: Trust) -> None:
    secret, thief = await enrolled("thief")
    _, victim = await enrolled("victim")
    for pk, text in ((thief, "thief"), (victim, "victim")):
        await labelled(pk, text)
    before = await Standing.objects.aget(pk=victim)

    async with serving() as (server, port), channel(port, trust) as made:
        metadata = bearer(secret)
        config = ConfigServiceStub(made)
        watching = config.WatchConfig(
            pb.WatchConfigRequest(machine_id="victim", collectors=["mine"]),
            metadata=metadata,
        )
        sent = await watching.read()
        await config.ReportConfig(
            pb.ConfigReport(
                machine_id="victim", version=sent.version, refused=["Not I."]
            ),
            metadata=metadata,
        )
        line = ControlServiceStub(made).ManageStream(metadata=metadata)
        await line.write(pb.ControlAnswer(hello=pb.ControlHello(machine_id="victim")))
        await until(lambda: server.control.control.lines)
        # Questions are heard of from a moment after the start.
        await asyncio.sleep(0.3)
        with pytest.raises(NotConnected):
            await ask(victim, pb.ControlCommand(ping=pb.Ping()), 1)
        asked = asyncio.create_task(ask(thief, pb.ControlCommand(ping=pb.Ping()), 30))
        command = await line.read()
        await line.write(pb.ControlAnswer(request=command.request, pong=pb.Pong()))
        assert (await asked).HasField("pong")
        line.cancel()
        watching.cancel()

    assert dict(sent.labels) == {"of": "thief"}
    after = await Standing.objects.aget(pk=victim)
    assert (after.refused, after.collectors, after.reported_version) == (
        before.refused,
        before.collectors,
        before.reported_version,
    )
    own = await Standing.objects.aget(pk=thief)
    assert own.refused == ["Not I."]


async def test_without_a_credential_nothing_is_settled_or_asked(
    trust: Trust, settings: Settings
) -> None:
    settings.AGENT_TOKEN = "a-shared-token"
    await enrolled("victim")

    async with serving() as (_, port), channel(port, trust) as made:
        for metadata in ((), bearer("sma_" + "x" * 43)):
            watching = ConfigServiceStub(made).WatchConfig(
                pb.WatchConfigRequest(machine_id="victim"), metadata=metadata
            )
            line = ControlServiceStub(made).ManageStream(metadata=metadata)
            for call in (watching, line):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await asyncio.wait_for(call.read(), PATIENCE_S)
                assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ConfigServiceStub(made).ReportConfig(
                    pb.ConfigReport(machine_id="victim"), metadata=metadata
                )
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
