"""Who speaks HTTP/2 to do harm: calls opened and dropped, pings, silence."""

from __future__ import annotations

import asyncio
import resource
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from hub.ingest.tests import wire
from hub.rpc import room
from hub.rpc import server as rpc_server
from hub.rpc.tests.agent import agent, serving
from hub.testing.patience import PATIENCE_S, until, until_found

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_only]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 1, 3, 4, 6, 7
END_STREAM, END_HEADERS = 1, 4
FLOOD = 20_000

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def frame(kind: int, stream: int = 0, body: bytes = b"", flags: int = 0) -> bytes:
    return (
        struct.pack(">I", len(body))[1:]
        + bytes([kind, flags])
        + (struct.pack(">I", stream) + body)
    )


def literal(text: bytes) -> bytes:
    return bytes([len(text)]) + text


# HPACK: POST and http stand in its table; the rest is written out.
CALL = (
    b"\x83\x86"
    + (b"\x04" + literal(b"/sysmonstm.v1.MetricsService/StreamMetrics"))
    + (b"\x01" + literal(b"localhost"))
    + (b"\x0f\x10" + literal(b"application/grpc"))
    + (b"\x00" + literal(b"te") + literal(b"trailers"))
)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def send(line: Line, frames: list[bytes]) -> bool:
    """Send in pieces, reading what comes back; False: the hub has hung up."""
    reader, writer = line
    try:
        for start in range(0, len(frames), 200):
            writer.write(b"".join(frames[start : start + 200]))
            async with asyncio.timeout(PATIENCE_S):
                await writer.drain()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    if not await reader.read(2**16):
                        return False
    except (OSError, TimeoutError):
        return False
    return True


async def ended(line: Line) -> bool:
    """Tell whether the hub has hung up, after whatever it still said."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await line[0].read(2**16):
                pass
    except OSError:
        pass
    except TimeoutError:
        return False
    return True


async def test_such_a_call_reaches_the_hub() -> None:
    """Else dropping it would say little."""
    async with serving() as (_, port), connected(port) as line:
        call = frame(HEADERS, 1, CALL, END_HEADERS | END_STREAM)
        line[1].write(PREFACE + frame(SETTINGS) + call)

        kinds = []
        async with asyncio.timeout(PATIENCE_S):
            while HEADERS not in kinds:
                head = await line[0].readexactly(9)
                kinds.append(head[3])
                await line[0].readexactly(int.from_bytes(head[:3], "big"))

    assert GOAWAY not in kinds


async def test_calls_that_are_opened_and_dropped_hold_nobody_up() -> None:
    resets = [
        frame(HEADERS, stream, CALL, END_HEADERS)
        + frame(RST_STREAM, stream, struct.pack(">I", 8))
        for stream in range(1, 2 * FLOOD, 2)
    ]
    async with serving() as (hub, port), connected(port) as line:
        line[1].write(PREFACE + frame(SETTINGS))
        flood = asyncio.create_task(send(line, resets))
        await asyncio.sleep(0.01)

        async with agent(port) as good:
            assert (await good.hello("web-1")).window
        await flood
        async with agent(port) as good:
            assert (await good.hello("web-2")).window

        await until(lambda: hub.streams <= 2)


async def test_pings_without_end_end_the_connection() -> None:
    async with serving() as (_, port), connected(port) as line:
        line[1].write(PREFACE + frame(SETTINGS))

        await send(line, [frame(PING, body=b"12345678")] * 2_000)

        assert await ended(line)
        async with agent(port) as good:
            assert (await good.hello("web-1")).window


@pytest.mark.parametrize("said", [b"", PREFACE[:10], b"GET / HTTP/1.1\r\n"])
async def test_a_handshake_that_is_never_finished_is_not_waited_for(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "grpc.server_handshake_timeout_ms"
    usual = dict(rpc_server.OPTIONS)
    assert usual[name] <= 10_000
    monkeypatch.setattr(rpc_server, "OPTIONS", list((usual | {name: 300}).items()))

    async with serving() as (_, port), connected(port) as line:
        line[1].write(said)

        assert await ended(line)


async def test_connections_that_are_too_many_are_closed_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(room, "FEWEST", 1)
    async with serving() as (_, port), agent(port) as good, AsyncExitStack() as stack:
        assert (await good.hello("web-1")).window
        lines = []
        for _ in range(6):
            line = await stack.enter_async_context(connected(port))
            line[1].write(PREFACE + frame(SETTINGS))
            # Its turn, before the next one comes.
            heard = await read_some(line)
            lines.append((line, bool(heard)))
        assert [welcome for _, welcome in lines] == [True] * 3 + [False] * 3
        await good.send(wire.layout("/"), wire.ticks([1], (0.5,)))
        await good.acked(1)
        # As soon as there is room, others come in.
        lines[0][0][1].close()
        await until_found(lambda: is_welcome(port))


async def read_some(line: Line) -> bytes:
    with suppress(OSError):
        async with asyncio.timeout(PATIENCE_S):
            return await line[0].read(2**16)
    return b""


async def is_welcome(port: int) -> bool:
    async with connected(port) as line:
        line[1].write(PREFACE + frame(SETTINGS))
        return bool(await read_some(line))


@pytest.mark.parametrize(
    ("files", "fit"),
    [(256, 100), (1024, 324), (20_000, 12_000), (resource.RLIM_INFINITY, 12_000)],
)
def test_a_process_keeps_files_for_itself(
    files: int, fit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert room.connections() == fit
