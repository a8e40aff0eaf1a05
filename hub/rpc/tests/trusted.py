"""Servers and agents that speak TLS, and agents that are enrolled, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from asgiref.sync import sync_to_async
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import EnrolmentServiceStub, MetricsServiceStub

from hub.machines import authority, credentials, enrolment
from hub.people import secrets
from hub.rpc.tests.agent import Agent, Metadata


def bearer(secret: str) -> Metadata:
    return (("authorization", f"Bearer {secret}"),)


def agents_secret() -> str:
    return secrets.make(credentials.PREFIX)


async def enrolled(machine_id: str = "web-1") -> tuple[str, int]:
    """Make an agent in the database; return its secret and its machine's key."""

    def make() -> tuple[str, int]:
        token, _ = enrolment.make_token(None)
        secret = agents_secret()
        return secret, enrolment.enrol(token, machine_id, secret).machine.pk

    return await sync_to_async(make)()


@dataclass(frozen=True, slots=True)
class Trust:
    """What an agent knows of the hub, and shows of itself; PEM."""

    ca: bytes
    name: str = authority.SERVER_NAME
    key: bytes | None = None
    certificate: bytes | None = None


@asynccontextmanager
async def channel(port: int, trust: Trust) -> AsyncIterator[Any]:
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.ssl_target_name_override", trust.name),
    ]
    shown = grpc.ssl_channel_credentials(trust.ca, trust.key, trust.certificate)
    address = f"127.0.0.1:{port}"
    async with grpc.aio.secure_channel(address, shown, options) as made:
        yield made


@asynccontextmanager
async def agent(port: int, trust: Trust, secret: str) -> AsyncIterator[Agent]:
    async with channel(port, trust) as made:
        call = MetricsServiceStub(made).StreamMetrics(metadata=bearer(secret))
        try:
            yield Agent(call)
        finally:
            call.cancel()


async def enrol(port: int, trust: Trust, **said: Any) -> pb.EnrolResponse:
    async with channel(port, trust) as made:
        answer = await EnrolmentServiceStub(made).Enrol(pb.EnrolRequest(**said))
    assert isinstance(answer, pb.EnrolResponse)
    return answer


async def rotate(
    port: int, trust: Trust, secret: str, new: str, request: bytes = b""
) -> pb.RotateResponse:
    async with channel(port, trust) as made:
        asked = pb.RotateRequest(secret=new, certificate_request=request)
        stub = EnrolmentServiceStub(made)
        answer = await stub.Rotate(asked, metadata=bearer(secret))
    assert isinstance(answer, pb.RotateResponse)
    return answer
