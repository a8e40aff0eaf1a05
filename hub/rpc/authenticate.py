"""Who may call what: every method is closed unless it stands in POLICIES.

`decide` is the one place where a credential becomes a Caller; enrolment adds the
agents' own secrets there.
"""

from __future__ import annotations

import hmac
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

import grpc
from django.conf import settings
from django.db import close_old_connections

from hub.ingest.caller import CALLER, Caller
from hub.ingest.workers import Workers
from hub.log import get_logger
from hub.people import tokens
from hub.people.owner import owner

log = get_logger(__name__)


class Policy(StrEnum):
    """Who may call a method."""

    # Tells no more than "serving"; orchestrators ask without a credential.
    ANYBODY = "anybody"
    # A machine's agent, with AGENT_TOKEN where one is set.
    AGENT = "agent"
    # A person's program, with an API token. An agent's credential does not read
    # what other machines have sent.
    READER = "reader"


POLICIES: Mapping[str, Policy] = {
    "/sysmonstm.v1.MetricsService/StreamMetrics": Policy.AGENT,
    "/sysmonstm.v1.MetricsService/GetCurrentState": Policy.READER,
    "/sysmonstm.v1.MetricsService/GetAllStates": Policy.READER,
    "/grpc.health.v1.Health/Check": Policy.ANYBODY,
    "/grpc.health.v1.Health/List": Policy.ANYBODY,
    "/grpc.health.v1.Health/Watch": Policy.ANYBODY,
    # Only there with DEBUG.
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Policy.AGENT,
}

# The same words for each kind of wrong credential: they tell an attacker nothing.
DENIED = "The credential is missing or wrong."


class Denied(Exception):
    """This caller may not (permanent until its credential changes)."""


async def decide(
    policy: Policy | None, secret: str, peer: str, lookups: Workers
) -> Caller:
    """Return who is calling; raises Denied.

    Without AGENT_TOKEN whoever is on this machine may do everything: it is how
    a hub for one's own machine starts. System checks keep it to loopback.
    """
    if policy is Policy.ANYBODY:
        return Caller()
    trusted = not settings.AGENT_TOKEN and is_loopback_peer(peer)
    if policy is Policy.AGENT:
        if trusted or _is_agent_token(secret):
            return Caller()
        raise Denied
    if policy is Policy.READER:
        if secret:
            return await lookups.call(_reader, secret)
        if trusted:
            return await lookups.call(_owner)
    raise Denied


def is_loopback_peer(peer: str) -> bool:
    """Tell whether gRPC's name of the other side is this machine."""
    return peer.startswith(("ipv4:127.", "ipv6:%5B::1%5D:", "ipv6:[::1]:", "unix:"))


def _is_agent_token(secret: str) -> bool:
    wanted = settings.AGENT_TOKEN
    return bool(wanted) and hmac.compare_digest(secret.encode(), wanted.encode())


def _reader(secret: str) -> Caller:
    close_old_connections()
    try:
        token = tokens.find(secret)
    finally:
        close_old_connections()
    if token is None:
        raise Denied
    return Caller(user=token.user)


def _owner() -> Caller:
    close_old_connections()
    try:
        return Caller(user=owner())
    finally:
        close_old_connections()


def secret_of(metadata: Any) -> str:
    """Return the bearer's secret of a call; "" when there is none or are two."""
    found = [value for key, value in metadata or () if key == "authorization"]
    if len(found) != 1 or not isinstance(found[0], str):
        return ""
    scheme, _, secret = found[0].partition(" ")
    return secret if scheme.lower() == "bearer" else ""


class Authenticator(grpc.aio.ServerInterceptor):
    """Wraps each handler, of whatever arity, so that it runs for a Caller only."""

    def __init__(self) -> None:
        self._lookups = Workers("authenticate", 2)

    async def close(self) -> None:
        await self._lookups.close()

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            # Unknown methods are answered with UNIMPLEMENTED.
            return handler
        policy = POLICIES.get(handler_call_details.method)
        secret = secret_of(handler_call_details.invocation_metadata)
        return _wrapped(handler, self._guard(policy, secret))

    def _guard(
        self, policy: Policy | None, secret: str
    ) -> Callable[[Any], Awaitable[None]]:
        async def guard(context: Any) -> None:
            peer = str(context.peer())
            try:
                CALLER.set(await decide(policy, secret, peer, self._lookups))
            except Denied:
                log.warning("call.denied", peer=peer, policy=policy)
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, DENIED)
            except Exception:
                # Without an answer the door stays shut.
                log.exception("call.undecided", peer=peer)
                await context.abort(
                    grpc.StatusCode.UNAVAILABLE, "The hub cannot check credentials now."
                )

        return guard


def _wrapped(
    handler: grpc.RpcMethodHandler[Any, Any], guard: Callable[[Any], Awaitable[None]]
) -> grpc.RpcMethodHandler[Any, Any]:
    for kind, make in (
        ("unary_unary", grpc.unary_unary_rpc_method_handler),
        ("unary_stream", grpc.unary_stream_rpc_method_handler),
        ("stream_unary", grpc.stream_unary_rpc_method_handler),
        ("stream_stream", grpc.stream_stream_rpc_method_handler),
    ):
        behaviour = getattr(handler, kind)
        if behaviour is not None:
            return make(
                _guarded(behaviour, guard),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
    raise AssertionError("a handler has one of four kinds")


def _guarded(
    behaviour: Callable[[Any, Any], Any], guard: Callable[[Any], Awaitable[None]]
) -> Callable[[Any, Any], Any]:
    """Call the behaviour after the guard; all of ours are asynchronous."""
    if inspect.isasyncgenfunction(behaviour):

        async def responses(request: Any, context: Any) -> AsyncIterator[Any]:
            await guard(context)
            async for response in behaviour(request, context):
                yield response

        return responses

    async def response(request: Any, context: Any) -> Any:
        await guard(context)
        return await behaviour(request, context)

    return response
