"""EnrolmentService: agents come with a token, and replace their secret later.

Both are safe to repeat: the agent chooses its secret and keeps it before it asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

import grpc
from cryptography.hazmat.primitives.serialization import Encoding
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import EnrolmentServiceServicer

from hub.ingest import text
from hub.ingest.caller import CALLER, Caller
from hub.ingest.lookups import Lookups
from hub.log import get_logger
from hub.machines import authority, credentials, enrolment
from hub.machines.certificates import BadRequest, requested_key
from hub.machines.models import Credential
from hub.people.throttle import hit
from hub.rpc.authenticate import (
    FAILURES,
    FAILURES_WITHIN_S,
    UNDECIDED,
    WAIT,
    address_of,
    secret_of,
)
from hub.storage.database import DatabaseDown

log = get_logger(__name__)

T = TypeVar("T")

# An agent rotates every few weeks; each turn is a write.
ROTATIONS = 10
ROTATIONS_WITHIN_S = 3600.0

CROWDED = "Too many enrol at once; come back in a moment."

# Anybody may ask: so many at once, and the rest is told to come back.
MAX_AT_ONCE = 256


class EnrolmentServicer(EnrolmentServiceServicer):
    def __init__(self) -> None:
        # Not those of the door: whoever floods this one holds up nobody else.
        self._lookups = Lookups()
        self._here = 0

    async def close(self) -> None:
        await self._lookups.close()

    async def Enrol(self, request: pb.EnrolRequest, context: Any) -> pb.EnrolResponse:
        if self._here >= MAX_AT_ONCE:
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, CROWDED)
        self._here += 1
        try:
            return await self._enrol(request, context)
        finally:
            self._here -= 1

    async def _enrol(self, request: pb.EnrolRequest, context: Any) -> pb.EnrolResponse:
        address = address_of(str(context.peer()))
        try:
            machine_id = text.machine_id(request.machine_id)
        except text.BadText as bad:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(bad))
        try:
            machine_id, certificate = await self._call(
                context,
                partial(
                    _enrol,
                    request.token,
                    machine_id,
                    request.secret,
                    request.certificate_request,
                    address,
                ),
            )
        except enrolment.Refused as refused:
            log.warning("enrolment.refused", peer=address)
            await self._count_failure(context, address)
            await _abort(context, grpc.StatusCode.UNAUTHENTICATED, str(refused))
        log.info("enrolment.done", machine=machine_id, peer=address)
        return pb.EnrolResponse(
            machine_id=machine_id, certificate=certificate, clock_unix_ms=_now_ms()
        )

    async def Rotate(
        self, request: pb.RotateRequest, context: Any
    ) -> pb.RotateResponse:
        caller = CALLER.get()
        if caller is None or not caller.credential:
            await _abort(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                "Only an agent that was enrolled has a secret to replace.",
            )
        if not credentials.well_formed(request.secret):
            # Not counted: it changes nothing, and is how an agent's doctor asks
            # whether its credential is good.
            await _abort(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                "That is not a secret of an agent.",
            )
        by = secret_of(context.invocation_metadata())
        turn = partial(_rotate, caller, by, request.secret, request.certificate_request)
        seldom = partial(
            hit,
            "rotation",
            str(caller.credential),
            limit=ROTATIONS,
            window_s=ROTATIONS_WITHIN_S,
        )
        if not await self._call(context, seldom):
            await _abort(
                context, grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many rotations."
            )
        try:
            until_ms, certificate = await self._call(context, turn)
        except credentials.NotTaken as bad:
            await _abort(context, grpc.StatusCode.FAILED_PRECONDITION, str(bad))
        log.info("credential.rotated", machine=caller.machine_id)
        return pb.RotateResponse(old_until_unix_ms=until_ms, certificate=certificate)

    async def _call(self, context: Any, function: Callable[[], T]) -> T:
        try:
            return await self._lookups.call(function)
        except DatabaseDown as down:
            log.warning("enrolment.unavailable", error=str(down))
            await _abort(context, grpc.StatusCode.UNAVAILABLE, UNDECIDED)
        except BadRequest as bad:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(bad))

    async def _count_failure(self, context: Any, address: str) -> None:
        few = partial(hit, "enrol", address, limit=FAILURES, window_s=FAILURES_WITHIN_S)
        if not await self._call(context, few):
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, WAIT)


def _enrol(
    token: str, machine_id: str, secret: str, request: bytes, address: str
) -> tuple[str, bytes]:
    if request:
        # Before the token is used up for nothing.
        requested_key(request)
    made = enrolment.enrol(token, machine_id, secret, address=address)
    name = made.machine.machine_id
    return name, _certificate(request, name, made.credential.pk)


def _rotate(caller: Caller, by: str, secret: str, request: bytes) -> tuple[int, bytes]:
    if request:
        requested_key(request)
    until = credentials.rotate(caller.credential, secret, by=by)
    certificate = _certificate(request, caller.machine_id, caller.credential)
    return int(until.timestamp() * 1000), certificate


def _certificate(request: bytes, machine_id: str, credential: int) -> bytes:
    """Return a client certificate, DER; b"" where none is wanted or issued."""
    if not request or not authority.issues_certificates():
        return b""
    made = authority.sign_client(request, machine_id, credential)
    Credential.objects.filter(pk=credential).update(
        certificate_serial=f"{made.serial_number:x}"
    )
    return made.public_bytes(Encoding.DER)


async def _abort(context: Any, code: grpc.StatusCode, sentence: str) -> NoReturn:
    await context.abort(code, sentence)
    raise AssertionError("abort raises")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
