"""How a call ends that cannot go on, in gRPC's words."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

from hub.control.threads import Calling, Threads
from hub.log import get_logger
from hub.machines import registry
from hub.machines.registry import NotIts
from hub.storage.database import DatabaseDown, guard

log = get_logger(__name__)


async def abort(context: Any, code: grpc.StatusCode, sentence: str) -> NoReturn:
    await context.abort(code, sentence)
    raise AssertionError("abort raises")


async def machine_of(
    context: Any, calling: Calling, threads: Threads, named: str
) -> tuple[int, str]:
    """Return whose call this is; ends it when there is nobody."""
    machine_id, credential = calling(named)
    if not machine_id:
        await abort(context, grpc.StatusCode.UNAUTHENTICATED, "Who is calling?")
    try:
        pk = await threads.call(_find, machine_id, credential)
    except NotIts as refused:
        log.warning("control.not_its", machine=machine_id, error=str(refused))
        await abort(context, grpc.StatusCode.PERMISSION_DENIED, str(refused))
    except DatabaseDown as down:
        await away(context, down)
    if pk is None:
        await abort(
            context,
            grpc.StatusCode.UNAVAILABLE,
            "This machine has not said hello yet; come back when it has.",
        )
    return pk, machine_id


async def away(context: Any, down: Exception) -> NoReturn:
    log.warning("control.unavailable", error=str(down))
    await abort(
        context,
        grpc.StatusCode.UNAVAILABLE,
        "The hub cannot reach its database now.",
    )


def _find(machine_id: str, credential: int) -> int | None:
    with guard():
        machine = registry.spoken_for(machine_id, credential)
        return machine.pk if machine else None
