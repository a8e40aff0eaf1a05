"""Who may call what: every method is closed unless it stands in POLICIES.

`decide` is the one place where a credential becomes a Caller; enrolment adds the
agents' own secrets there.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, NoReturn

import grpc
from django.conf import settings

from hub.checks import is_loopback
from hub.events.bus import Bus
from hub.ingest.caller import CALLER, Caller
from hub.ingest.lookups import Lookups
from hub.ingest.workers import Workers
from hub.log import get_logger
from hub.machines import authority, credentials, inside
from hub.machines.credentials import Holder
from hub.machines.registry import CANARY
from hub.people import secrets, tokens
from hub.people.owner import owner
from hub.people.throttle import hit
from hub.rpc import wakes
from hub.rpc.calls import Call, Calls, TooMany
from hub.rpc.roster import Crowded, Roster
from hub.storage.database import DatabaseDown

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
    # Its credential is the token in the message.
    "/sysmonstm.v1.EnrolmentService/Enrol": Policy.ANYBODY,
    "/sysmonstm.v1.EnrolmentService/Rotate": Policy.AGENT,
    "/sysmonstm.v1.ConfigService/WatchConfig": Policy.AGENT,
    "/sysmonstm.v1.ConfigService/ReportConfig": Policy.AGENT,
    "/sysmonstm.v1.ControlService/ManageStream": Policy.AGENT,
    "/grpc.health.v1.Health/Check": Policy.ANYBODY,
    "/grpc.health.v1.Health/List": Policy.ANYBODY,
    "/grpc.health.v1.Health/Watch": Policy.ANYBODY,
    # Only there with DEBUG.
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Policy.AGENT,
}

# The same words for each kind of wrong credential: they tell an attacker nothing.
DENIED = "The credential is missing or wrong."
UNDECIDED = "The hub cannot check credentials now."
WAIT = "Too many failures from this address; wait."
NO_CERTIFICATE = "This hub wants the client certificate of this credential."

# What a proxy adds: behind one everybody comes from this machine.
FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})

# So many failures of one address are answered in a minute; who knows a secret is let
# in all the same.
FAILURES = 10
FAILURES_WITHIN_S = 60.0


class Denied(Exception):
    """This caller may not (permanent until its credential changes)."""

    sentence = DENIED


class NoCertificate(Denied):
    sentence = NO_CERTIFICATE


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, as far as it matters for who may make it."""

    policy: Policy | None
    secret: str = ""
    # gRPC's name of the other side: "ipv4:192.0.2.7:4711".
    peer: str = ""
    forwarded: bool = False
    # The verified client certificate, PEM; None = it has shown none.
    certificate: bytes | None = None


class Doors:
    """What decides has to ask."""

    def __init__(self, lookups: Lookups, roster: Roster) -> None:
        self.lookups, self.roster = lookups, roster


async def decide(asked: Asked, doors: Doors) -> tuple[Caller, Holder | None]:
    """Return who is calling, and by which credential of its own; raises Denied.

    Without AGENT_TOKEN whoever is on this machine may do everything: it is how a hub
    for one's own machine starts. That is so only where nobody else can come in.
    """
    policy, secret = asked.policy, asked.secret
    if policy is Policy.ANYBODY:
        return Caller(), None
    if policy is Policy.AGENT:
        return await _agent(asked, doors.roster)
    if policy is Policy.READER:
        if secret:
            return await doors.lookups.call(_reader, secret), None
        if _is_trusted(asked):
            return await doors.lookups.call(_owner), None
    raise Denied


async def _agent(asked: Asked, roster: Roster) -> tuple[Caller, Holder | None]:
    secret = asked.secret
    if not secret and _is_trusted(asked):
        return Caller(), None
    if _is_from_inside(asked):
        return Caller(), None
    if _is_agent_token(secret):
        # Here it may be a proxy, and so anybody.
        here = is_loopback_peer(asked.peer)
        return Caller(shared_from="" if here else address_of(asked.peer)), None
    if inside.is_probe(secret):
        return Caller(machine_id=CANARY), None
    # Looked for whatever it is: the time must not say what was wrong with it.
    holder = await roster.find(secret)
    if holder is None:
        if _is_trusted(asked) and not secret.startswith(credentials.PREFIX):
            return Caller(), None
        raise Denied
    if settings.GRPC_MTLS == "required" and not _is_certified(asked, holder):
        raise NoCertificate
    caller = Caller(
        machine_id=holder.machine_id,
        credential=holder.credential,
        pk=holder.machine,
    )
    return caller, holder


def _is_trusted(asked: Asked) -> bool:
    """Whether a caller without a credential is certainly on this machine."""
    return (
        not settings.AGENT_TOKEN
        and not settings.BEHIND_TLS
        and not asked.forwarded
        and is_loopback(settings.GRPC_HOST)
        and is_loopback_peer(asked.peer)
    )


def is_loopback_peer(peer: str) -> bool:
    """Tell whether gRPC's name of the other side is this machine."""
    return peer.startswith(("ipv4:127.", "ipv6:%5B::1%5D:", "ipv6:[::1]:", "unix:"))


def address_of(peer: str) -> str:
    """Return the other side's address without its port: "ipv4:192.0.2.7"."""
    return peer.rpartition(":")[0] or "unix"


def _is_agent_token(secret: str) -> bool:
    wanted = settings.AGENT_TOKEN
    return bool(wanted) and hmac.compare_digest(secret.encode(), wanted.encode())


def _is_from_inside(asked: Asked) -> bool:
    return is_loopback_peer(asked.peer) and inside.is_neighbour(asked.secret)


def _is_certified(asked: Asked, holder: Holder) -> bool:
    return asked.certificate is not None and authority.is_of(
        asked.certificate, holder.credential, holder.machine_id
    )


def _reader(secret: str) -> Caller:
    token = tokens.find(secret)
    if token is None:
        raise Denied
    return Caller(user=token.user)


def _owner() -> Caller:
    return Caller(user=owner())


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
        self._lookups = Lookups()
        self.roster = Roster(self._lookups)
        self.calls = Calls(DENIED)
        self._doors = Doors(self._lookups, self.roster)
        self._counting = Workers("throttle", 1)

    async def run(self, bus: Bus) -> None:
        """Cut who is revoked, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.roster.run(bus, self.calls.keep, self.calls.live))
            group.create_task(self.calls.sweep())

    async def close(self) -> None:
        await self._lookups.close()
        await self._counting.close()

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        wakes.hurry()
        handler = await continuation(handler_call_details)
        if handler is None:
            # Unknown methods are answered with UNIMPLEMENTED.
            return handler
        method = handler_call_details.method
        metadata = handler_call_details.invocation_metadata
        return _wrapped(handler, partial(self._guard, method, metadata))

    @asynccontextmanager
    async def _guard(
        self, method: str, metadata: Any, context: Any
    ) -> AsyncIterator[None]:
        """Let a call in, or end it; the block is its handler's."""
        asked = Asked(
            POLICIES.get(method),
            secret_of(metadata),
            str(context.peer()),
            any(key in FORWARDED for key, _ in metadata or ()),
            certificate_of(context),
        )
        try:
            caller, holder = await decide(asked, self._doors)
        except Denied as denied:
            await self._deny(asked, denied, context)
        except Crowded as crowded:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(crowded))
        except DatabaseDown as down:
            log.warning("call.undecided", peer=asked.peer, error=str(down))
            await context.abort(grpc.StatusCode.UNAVAILABLE, UNDECIDED)
        except Exception:
            # Without an answer the door stays shut.
            log.exception("call.undecided", peer=asked.peer)
            await context.abort(grpc.StatusCode.UNAVAILABLE, UNDECIDED)
        CALLER.set(caller)
        call = await self._opened(method, asked, holder, context)
        try:
            yield
        finally:
            self.calls.close(call)

    async def _opened(
        self, method: str, asked: Asked, holder: Holder | None, context: Any
    ) -> Call:
        call = Call(
            context,
            method=method,
            address=address_of(asked.peer),
            digest=secrets.digest(asked.secret),
            holder=holder,
            is_agent=asked.policy is Policy.AGENT,
        )
        try:
            self.calls.open(call)
        except TooMany as crowded:
            log.warning("call.too_many", method=method, peer=asked.peer)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(crowded))
        return call

    async def _deny(self, asked: Asked, denied: Denied, context: Any) -> NoReturn:
        log.warning("call.denied", peer=asked.peer, policy=asked.policy)
        address = address_of(asked.peer)
        failed = partial(
            hit, "credential", address, limit=FAILURES, window_s=FAILURES_WITHIN_S
        )
        if not await self._counting.call(failed):
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            await context.abort(code, WAIT)
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, denied.sentence)
        raise AssertionError("abort raises")


def certificate_of(context: Any) -> bytes | None:
    """Return the client certificate that the handshake has verified, PEM."""
    found = context.auth_context().get("x509_pem_cert")
    return found[0] if found else None


Guard = Callable[[Any], AbstractAsyncContextManager[None]]


def _wrapped(
    handler: grpc.RpcMethodHandler[Any, Any], guard: Guard
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


def _guarded(behaviour: Callable[[Any, Any], Any], guard: Guard) -> Callable[..., Any]:
    """Call the behaviour after the guard; all of ours are asynchronous."""
    if inspect.isasyncgenfunction(behaviour):

        async def responses(request: Any, context: Any) -> AsyncIterator[Any]:
            async with guard(context):
                async for response in behaviour(request, context):
                    yield response

        return responses

    async def response(request: Any, context: Any) -> Any:
        async with guard(context):
            return await behaviour(request, context)

    return response
