"""How gRPC's streams end, as a client hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from hub.testing.patience import PATIENCE_S

TRIES = 20

End = tuple[grpc.StatusCode, str]


async def ended(call: Any) -> End:
    """Read to the end of a stream; return how it ended."""
    try:
        while await asyncio.wait_for(call.read(), PATIENCE_S) is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return await call.code(), await call.details()


async def refusal(end: Callable[[], Awaitable[End]]) -> End:
    """Open, say and end a stream until the end is the other side's.

    Who is refused while he writes is told INTERNAL by grpc.aio itself, for good: its
    write has failed before it has heard why.
    """
    for _ in range(TRIES):
        code, text = await end()
        if code is not grpc.StatusCode.INTERNAL:
            return code, text
    raise AssertionError(f"refused {TRIES} times while it wrote")
