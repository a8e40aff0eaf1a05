"""A TCP proxy that can go silent: as a cable that is pulled, not one that is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CHUNK = 65_536


class Proxy:
    """Passes bytes both ways until it is told to swallow them."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._passes = asyncio.Event()
        self._passes.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def go_silent(self) -> None:
        """From now on nothing arrives and nothing is closed."""
        self._passes.clear()

    def speak_again(self) -> None:
        """Pass on what was swallowed, to whoever still listens."""
        self._passes.set()

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, onward[1]), (onward[0], writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                # What comes in silence stays in the proxy for ever.
                await self._passes.wait()
                sink.write(data)
                await sink.drain()
            await self._passes.wait()
        finally:
            sink.close()


@asynccontextmanager
async def blackhole(port: int) -> AsyncIterator[Proxy]:
    """Run a proxy before a loopback port."""
    proxy = Proxy(port)
    server = await proxy.serve()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
