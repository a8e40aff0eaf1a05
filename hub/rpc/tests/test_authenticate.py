from __future__ import annotations

import asyncio
import contextlib
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from pytest_django import Settings
from sysmonstm_proto import metrics_pb2

from hub.ingest.tests import wire
from hub.ingest.workers import Workers
from hub.rpc import authenticate
from hub.rpc.authenticate import DENIED, POLICIES, Denied, Policy, decide
from hub.rpc.tests.agent import agent, channel, serving

TOKEN = "a-long-agent-token"
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


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
    lookups = Workers("test")

    try:
        await decide(Policy.AGENT, secret, peer, lookups)
    except Denied:
        assert not allowed
    else:
        assert allowed
    assert await lookups.close()


async def test_a_method_without_a_policy_is_closed(settings: Settings) -> None:
    settings.AGENT_TOKEN = ""
    lookups = Workers("test")

    with pytest.raises(Denied):
        await decide(None, "", LOCAL, lookups)
    assert await lookups.close()


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


@pytest.mark.django_db(transaction=True)
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


@pytest.mark.django_db(transaction=True)
async def test_reflection_is_there_only_with_debug(settings: Settings) -> None:
    settings.DEBUG = False
    method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

    async with serving() as (_, port):
        closed = await call(port, method, "stream_stream")
    settings.DEBUG = True
    async with serving() as (_, port):
        shown = await call(port, method, "stream_stream")

    assert (closed, shown) == (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.OK)


@pytest.mark.django_db(transaction=True)
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

    async with serving() as (server, port), agent(port, metadata) as web:
        # The hub may have hung up before the Hello is out.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await web.send(wire.hello())
        ended = await web.end()
        assert server.streams == 0

    assert ended == (UNAUTHENTICATED, DENIED)


@pytest.mark.django_db(transaction=True)
async def test_a_stream_with_the_token_is_welcome(settings: Settings) -> None:
    settings.AGENT_TOKEN = TOKEN

    bearer = (("authorization", f"Bearer {TOKEN}"),)
    async with serving() as (_, port), agent(port, bearer) as web:
        assert (await web.hello()).window == 256
