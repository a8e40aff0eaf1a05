"""A gRPC call that others than its handler may end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, TypeAlias

import grpc

# What a handler has to end by itself.
END_S = 0.5

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class OpenCall:
    """Made by the task that handles it, which sets `finished` as it returns."""

    def __init__(self, context: Context) -> None:
        self._context = context
        handler = asyncio.current_task()
        assert handler is not None
        self._handler = handler
        self.ended = False
        self.finished = asyncio.Event()

    async def end(self, code: grpc.StatusCode, sentence: str) -> None:
        """End the call from outside its handler, whose read then raises.

        Cancelling the handler is the last resort: a cancelled read leaks (grpc
        issue 43360). It is needed where the handler waits for something else, or
        where the status cannot leave because the agent reads nothing.
        """
        if self.ended:
            return
        self.ended = True
        try:
            async with asyncio.timeout(END_S):
                # Aborting raises in whoever calls it, too; the call may be over.
                with suppress(grpc.aio.BaseError, asyncio.InvalidStateError):
                    await self._context.abort(code, sentence)
                await self.finished.wait()
        except TimeoutError:
            self._handler.cancel()
