"""A network of its own, from which a few ports of this machine are reached and no more.

    unshare … (a new network: loopback alone)        this machine
    127.0.0.1:PORT ──► inside ──► FOLDER/PORT ──► outside ──► 127.0.0.1:PORT

Needs no privilege where ordinary users may make namespaces, and no device: bytes cross
over Unix sockets, which a network does not part. What runs there has the same files,
processes and user; it finds no index, no name server and no other port.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Of linux/sockios.h and linux/if.h.
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65_536
READY_S = 120

# The same user on both sides; what it may do to its own network it keeps.
UNSHARE = ("unshare", "--user", "--map-current-user", "--keep-caps", "--net")

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@functools.cache
def allowed() -> bool:
    """Whether whoever runs this may make such a network here."""
    try:
        done = subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=READY_S)
    except OSError:
        return False
    return done.returncode == 0


@contextmanager
def island(folder: Path, *ports: int) -> Iterator[tuple[str, ...]]:
    """Make one for as long as the block lasts; yields how to begin a command there."""
    from hub.testing.hubs import BOUND
    from hub.testing.processes import running

    ours = (sys.executable, "-I", __file__, "outside", str(folder))
    log = folder / "island.log"
    with running(*BOUND, *ours, *map(str, ports), log=log) as process:
        found = process.wait_for_line(r"^inside (\d+)$", within_s=READY_S)
        enter = ("nsenter", f"--target={found[1]}", "--user", "--net")
        yield *enter, "--preserve-credentials", "--"


async def _outside(folder: Path, ports: list[str]) -> None:
    for port in ports:
        connect = functools.partial(asyncio.open_connection, LOOPBACK, int(port))
        await asyncio.start_unix_server(_to(connect), folder / port)
    command = (*UNSHARE, sys.executable, "-I", __file__, "inside", str(folder), *ports)
    inside = await asyncio.create_subprocess_exec(*command)
    await inside.wait()


async def _inside(folder: Path, ports: list[str]) -> None:
    _raise_loopback()
    for port in ports:
        connect = functools.partial(asyncio.open_unix_connection, folder / port)
        await asyncio.start_server(_to(connect), LOOPBACK, int(port))
    sys.stdout.write(f"inside {os.getpid()}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _to(
    connect: Connect,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return what passes a connection on, both ways, until both have ended."""

    async def serve(near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_in, far = await connect()
        except OSError:
            near.transport.abort()
            return
        await asyncio.gather(_pass(near_in, far), _pass(far_in, near))
        for writer in (near, far):
            writer.close()

    return serve


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
        return
    # Broken, not ended: the other side is to notice that, too.
    writer.transport.abort()


if __name__ == "__main__":
    side, place, *named = sys.argv[1:]
    asyncio.run({"outside": _outside, "inside": _inside}[side](Path(place), named))
