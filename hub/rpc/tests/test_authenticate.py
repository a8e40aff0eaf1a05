from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from pytest_django import Settings
from sysmonstm_proto import metrics_pb2

from hub.ingest.lookups import Lookups
from hub.machines import inside
from hub.machines.registry import CANARY
from hub.people import secrets
from hub.rpc import authenticate
from hub.rpc.authenticate import DENIED, POLICIES, Asked, Denied, Doors, Policy, decide
from hub.rpc.roster import Roster
from hub.rpc.tests.agent import agent, channel, first_word, serving
from hub.testing.patience import until

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-long-agent-token"
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
SERVING = health_pb2.HealthCheckResponse.SERVING


def methods_of(file: Any) -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_every_method_of_every_service_has_a_policy() -> None:
    served = (
        methods_of(metrics_pb2.DESCRIPTOR)
        | methods_of(health_pb2.DESCRIPTOR)
        | methods_of(reflection_pb2.DESCRIPTOR)
    )

    assert POLICIES.keys() == served


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        ("ipv4:127.0.0.1:4711", True),
        ("ipv4:127.9.9.9:1", True),
        ("ipv6:%5B::1%5D:4711", True),
        ("unix:", True),
        ("ipv4:192.0.2.7:4711", False),
        ("ipv4:12.7.0.1:1", False),
        ("ipv6:%5B2001:db8::1%5D:4711", False),
        ("ipv6:%5B::10%5D:4711", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(peer: str, local: bool) -> None:
    assert authenticate.is_loopback_peer(peer) is local


@pytest.mark.parametrize(
    ("metadata", "secret"),
    [
        ([("authorization", "Bearer x")], "x"),
        ([("authorization", "bearer x")], "x"),
        ([("authorization", "Bearer x ")], "x "),
        ([("authorization", "Basic x")], ""),
        ([("authorization", "x")], ""),
        ([("authorization", "Bearer x"), ("authorization", "Bearer y")], ""),
        ([("authorization", b"Bearer x")], ""),
        ([("x-authorization", "Bearer x")], ""),
        ([], ""),
        (None, ""),
    ],
)
def test_a_secret_is_one_bearers(metadata: Any, secret: str) -> None:
    assert authenticate.secret_of(metadata) == secret


LOCAL, REMOTE = "ipv4:127.0.0.1:1", "ipv4:192.0.2.7:1"


@pytest.mark.parametrize(
    ("token", "secret", "peer", "allowed"),
    [
        ("", "", LOCAL, True),
        ("", "", REMOTE, False),
        ("", "anything", REMOTE, False),
        (TOKEN, TOKEN, REMOTE, True),
        (TOKEN, TOKEN, LOCAL, True),
        (TOKEN, "", LOCAL, False),
        (TOKEN, TOKEN + " ", LOCAL, False),
        (TOKEN, TOKEN.upper(), LOCAL, False),
        (TOKEN, "ü", REMOTE, False),
    ],
)
async def test_an_agent_needs_the_token_or_to_be_local_without_one(
    settings: Settings, token: str, secret: str, peer: str, allowed: bool
) -> None:
    settings.AGENT_TOKEN = token

    assert await admitted(Asked(Policy.AGENT, secret, peer)) is allowed


async def test_a_method_without_a_policy_is_closed(settings: Settings) -> None:
    settings.AGENT_TOKEN = ""

    assert not await admitted(Asked(None, "", LOCAL))


@pytest.mark.parametrize("policy", [Policy.AGENT, Policy.READER])
@pytest.mark.parametrize(
    "opening", ["listens beyond", "behind a proxy", "a proxy says so"]
)
async def test_being_local_is_enough_only_where_nobody_else_can_come_in(
    settings: Settings, policy: Policy, opening: str
) -> None:
    settings.AGENT_TOKEN = ""
    if opening == "listens beyond":
        settings.GRPC_HOST = "0.0.0.0"
    settings.BEHIND_TLS = opening == "behind a proxy"
    forwarded = opening == "a proxy says so"

    assert not await admitted(Asked(policy, "", LOCAL, forwarded))


async def test_what_looks_like_an_agents_secret_must_be_one(settings: Settings) -> None:
    settings.AGENT_TOKEN = ""

    # A revoked agent on the hub's own machine does not come in by that.
    assert not await admitted(Asked(Policy.AGENT, secrets.make("sma_"), LOCAL))
    assert await admitted(Asked(Policy.AGENT, "something-else", LOCAL))


async def test_the_hubs_own_secrets_open_what_they_are_for(settings: Settings) -> None:
    settings.AGENT_TOKEN = TOKEN
    here = Asked(Policy.AGENT, inside.neighbour(), LOCAL)
    elsewhere = Asked(Policy.AGENT, inside.neighbour(), REMOTE)

    async with doors() as behind:
        probe, _ = await decide(Asked(Policy.AGENT, inside.probe(), REMOTE), behind)

    assert await admitted(here)
    assert not await admitted(elsewhere)
    assert probe.machine("web-1") == CANARY


async def admitted(asked: Asked) -> bool:
    async with doors() as behind:
        try:
            await decide(asked, behind)
        except Denied:
            return False
        return True


@asynccontextmanager
async def doors() -> AsyncIterator[Doors]:
    lookups = Lookups()
    try:
        yield Doors(lookups, Roster(lookups))
    finally:
        await lookups.close()


async def call(port: int, method: str, kind: str) -> grpc.StatusCode:
    async with channel(port) as made:
        if kind == "stream_stream":
            stream = made.stream_stream(method)()
            # A door that is shut may be so before the first word.
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await stream.write(b"")
                await stream.done_writing()
        elif kind == "unary_stream":
            stream = made.unary_stream(method)(b"")
        else:
            answer = made.unary_unary(method)(b"")
            code = await answer.code()
            assert isinstance(code, grpc.StatusCode)
            return code
        try:
            await stream.read()
        except grpc.aio.AioRpcError as error:
            return error.code()
        stream.cancel()
        return grpc.StatusCode.OK


def kind_of(method: str) -> str:
    for file in (metrics_pb2, health_pb2, reflection_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for each in service.methods:
                if f"/{service.full_name}/{each.name}" == method:
                    up = "stream" if each.client_streaming else "unary"
                    down = "stream" if each.server_streaming else "unary"
                    return f"{up}_{down}"
    raise AssertionError(method)


@pytest.mark.parametrize("method", sorted(POLICIES))
async def test_without_a_credential_only_health_answers(
    settings: Settings, method: str
) -> None:
    settings.AGENT_TOKEN = TOKEN
    settings.DEBUG = True

    async with serving() as (_, port):
        code = await call(port, method, kind_of(method))

    open_to_all = POLICIES[method] is Policy.ANYBODY
    assert (code == UNAUTHENTICATED) is not open_to_all
    assert code != grpc.StatusCode.UNIMPLEMENTED or method.endswith("/List")


async def test_reflection_is_there_only_with_debug(settings: Settings) -> None:
    settings.DEBUG = False
    method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

    async with serving() as (_, port):
        closed = await call(port, method, "stream_stream")
    settings.DEBUG = True
    async with serving() as (_, port):
        shown = await call(port, method, "stream_stream")

    assert (closed, shown) == (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.OK)


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "Bearer wrong"),),
        (("authorization", f"Bearer {TOKEN} "),),
        (("authorization", TOKEN),),
        (("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")),
    ],
)
async def test_a_stream_with_a_wrong_credential_is_not_read(
    settings: Settings, metadata: Any
) -> None:
    settings.AGENT_TOKEN = TOKEN

    async with serving() as (server, port):
        refused = await first_word(lambda: agent(port, metadata))
        await until(lambda: not server.streams)

    assert refused == (UNAUTHENTICATED, DENIED)


async def test_a_stream_with_the_token_is_welcome(settings: Settings) -> None:
    settings.AGENT_TOKEN = TOKEN

    bearer = (("authorization", f"Bearer {TOKEN}"),)
    async with serving() as (_, port), agent(port, bearer) as web:
        assert (await web.hello()).window == 256


@pytest.mark.parametrize(
    "method",
    [
        "/grpc.channelz.v1.Channelz/GetServers",
        "/grpc.admin.v1.Admin/List",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus",
        "/sysmonstm.v1.MetricsService/Nothing",
        "/sysmonstm.v1.metricsservice/StreamMetrics",
        "//sysmonstm.v1.MetricsService/StreamMetrics",
        "/",
    ],
)
async def test_what_is_not_served_is_not_there(method: str) -> None:
    async with serving() as (_, port):
        assert await call(port, method, "unary_unary") in (
            grpc.StatusCode.UNIMPLEMENTED,
            UNAUTHENTICATED,
        )


async def test_health_says_that_it_serves_and_no_more(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AGENT_TOKEN = TOKEN

    async with serving() as (_, port), channel(port) as made:
        health: Any = health_pb2_grpc.HealthStub(made)
        told = await health.Check(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await made.unary_unary("/grpc.health.v1.Health/List")(b"")

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    # Whoever is nobody cannot fill the log with failures of ours.
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []
    assert told == health_pb2.HealthCheckResponse(status=SERVING)
