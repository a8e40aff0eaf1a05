"""The line between an agent and its hub, in this process: it breaks as it is told.

What a line can do to TCP is to be slow, silent or cut. It cannot reorder, lose or
double bytes of a connection: the kernels mend that below. Loss, reordering and
doubling of packets are for `netem.py`, where the machine permits it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

CHUNK_BYTES = 16 * 1024
POLL_S = 0.01
# Closing with this sends RST, as a firewall or a crashed host does.
LINGER = struct.pack("ii", 1, 0)


class Mode(Enum):
    PASS = "pass"
    # Connections are taken and cut at once.
    RESET = "reset"
    # Connections are taken, nothing is carried, nothing is closed.
    BLACKHOLE = "blackhole"
    # What the agent says arrives; what the hub says is lost: acks only.
    DEAF = "lost acks"


@dataclass(slots=True, eq=False)
class Connection:
    agent: asyncio.StreamWriter
    hub: asyncio.StreamWriter
    # Dead, and neither side is told.
    half_open: bool = False
    # The hub's words are missing: what comes after them makes no sense.
    holed: bool = False

    def cut(self) -> None:
        for writer in (self.agent, self.hub):
            with contextlib.suppress(OSError):
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            writer.transport.abort()


class Proxy:
    """One agent's line. Called from any thread."""

    def __init__(self, lines: Lines, hub_port: int) -> None:
        self._lines = lines
        self._connections: set[Connection] = set()
        self._mode = Mode.PASS
        self._listening: asyncio.Server | None = None
        self.hub_port = hub_port
        # Added to each chunk, either way; and bytes a second, 0 = no bound.
        self.latency_s = 0.0
        self.bandwidth = 0
        self.accepted = 0
        self.port = lines.call(self._listen())
        lines.proxies.append(self)

    def set(self, mode: Mode) -> None:
        self._lines.call(self._set(mode))

    def cut(self) -> None:
        """RST to both sides of every connection."""
        self._lines.call(self._cut(list(self._connections)))

    def half_open(self) -> None:
        """The connections there are die, and nobody is told; new ones are well."""
        self._lines.call(self._half_open())

    async def close(self) -> None:
        """Listen no longer; let each connection's task end by itself."""
        if self._listening:
            self._listening.close()
        for connection in self._connections:
            connection.half_open = False
        await self._set(Mode.PASS)
        await self._cut(list(self._connections))

    async def _listen(self) -> int:
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._listening.sockets[0].getsockname()[1])

    async def _set(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.RESET:
            await self._cut(list(self._connections))
        elif mode is Mode.PASS:
            await self._cut([c for c in self._connections if c.holed])

    async def _cut(self, connections: list[Connection]) -> None:
        for connection in connections:
            connection.cut()

    async def _half_open(self) -> None:
        for connection in self._connections:
            connection.half_open = True

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.accepted += 1
        try:
            if self._mode is Mode.RESET:
                raise ConnectionResetError
            there, back = await asyncio.open_connection("127.0.0.1", self.hub_port)
        except OSError:
            Connection(writer, writer).cut()
            return
        connection = Connection(writer, back)
        self._connections.add(connection)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(connection, reader, back, down=False))
                both.create_task(self._carry(connection, there, writer, down=True))
        except* (OSError, EOFError):
            pass
        finally:
            self._connections.discard(connection)
            connection.cut()

    async def _carry(
        self,
        connection: Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        down: bool,
    ) -> None:
        while True:
            data = await reader.read(CHUNK_BYTES)
            await self._slow(len(data))
            # A pause is polled: what ends it is told by no single event.
            while connection.half_open or self._mode is Mode.BLACKHOLE:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            if not data:
                # Ends the other way too: gRPC never half-closes a connection.
                raise EOFError
            if down and (self._mode is Mode.DEAF or connection.holed):
                connection.holed = True
                continue
            writer.write(data)
            await writer.drain()

    async def _slow(self, size: int) -> None:
        pause_s = self.latency_s + (size / self.bandwidth if self.bandwidth else 0)
        if pause_s:
            await asyncio.sleep(pause_s)


class Lines:
    """The thread and the loop in which all lines of a world run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines")
        self._thread.start()
        self.proxies: list[Proxy] = []

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        self.call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for proxy in self.proxies:
            await proxy.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        if tasks:
            await asyncio.wait(tasks, timeout=5)


@contextmanager
def lines() -> Iterator[Lines]:
    made = Lines()
    try:
        yield made
    finally:
        made.close()
