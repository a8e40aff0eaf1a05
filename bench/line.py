"""A gRPC call as bytes on a socket: thousands of simulated agents in one process.

The load shares the machine with what is measured, and a gRPC channel for each agent
would take more of it than the hub does. This speaks the part of HTTP/2 that one
bidirectional call needs; what the hub sees is what an agent's gRPC sends.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import cast

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
INITIAL_WINDOW_SIZE = 4
FRAME_HEAD, MESSAGE_HEAD = 9, 5
# Every frame of ours is smaller: HTTP/2's own limit until a peer says otherwise.
MAX_FRAME = 16_384
DEFAULT_HTTP2_WINDOW = 65_535
# What comes down is small; it is never held up.
OUR_WINDOW = 2**31 - 1
STREAM = 1


class Broken(Exception):
    """The line or the call on it has ended."""


class Line(asyncio.Protocol):
    """One connection with one call. `connect` makes it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._buffer = b""
        self._message = b""
        self._unsent: deque[bytes] = deque()
        self._window = self._stream_window = self._initial = DEFAULT_HTTP2_WINDOW
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, OUR_WINDOW)
        more = struct.pack(">I", OUR_WINDOW - DEFAULT_HTTP2_WINDOW)
        self._transport.write(
            PREFACE
            + _frame(SETTINGS, 0, 0, settings)
            + _frame(WINDOW_UPDATE, 0, 0, more)
            + _frame(HEADERS, END_HEADERS, STREAM, _headers(self._path))
        )

    def send(self, message: bytes) -> None:
        """Send a message as far as the hub's windows allow; the rest follows."""
        data = b"\0" + struct.pack(">I", len(message)) + message
        for at in range(0, len(data), MAX_FRAME):
            self._unsent.append(data[at : at + MAX_FRAME])
        self._flush()

    async def receive(self) -> bytes:
        """Return the next message; raises Broken at the end of the call."""
        message = await self._messages.get()
        if message is None:
            raise Broken
        return message

    def close(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._messages.put_nowait(None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while len(buffer) - at >= FRAME_HEAD:
            size = int.from_bytes(buffer[at : at + 3])
            end = at + FRAME_HEAD + size
            if len(buffer) < end:
                break
            self._take(buffer[at + 3], buffer[at + 4], at + 5, buffer, end)
            at = end
        self._buffer = buffer[at:]

    def _take(self, kind: int, flags: int, at: int, buffer: bytes, end: int) -> None:
        stream = int.from_bytes(buffer[at : at + 4])
        payload = buffer[at + 4 : end]
        if kind == DATA:
            self._read(payload)
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload)
            if stream:
                self._stream_window += more
            else:
                self._window += more
            self._flush()
        elif kind == PING and not flags & ACK:
            self._transport.write(_frame(PING, ACK, 0, payload))
        elif kind == SETTINGS and not flags & ACK:
            self._set(payload)
        elif kind in (RST_STREAM, GOAWAY) or (kind == HEADERS and flags & END_STREAM):
            self._messages.put_nowait(None)

    def _set(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                self._stream_window += value - self._initial
                self._initial = value
        self._transport.write(_frame(SETTINGS, ACK, 0, b""))
        self._flush()

    def _read(self, payload: bytes) -> None:
        message = self._message + payload
        while len(message) >= MESSAGE_HEAD:
            end = MESSAGE_HEAD + int.from_bytes(message[1:MESSAGE_HEAD])
            if len(message) < end:
                break
            self._messages.put_nowait(message[MESSAGE_HEAD:end])
            message = message[end:]
        self._message = message

    def _flush(self) -> None:
        while self._unsent:
            size = len(self._unsent[0])
            if min(self._window, self._stream_window) < size:
                return
            self._window -= size
            self._stream_window -= size
            self._transport.write(_frame(DATA, 0, STREAM, self._unsent.popleft()))


async def connect(port: int, path: str, *, address: str = "127.0.0.1") -> Line:
    """Call the hub on this machine, from the given address of it."""
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(
        lambda: Line(path), "127.0.0.1", port, local_addr=(address, 0)
    )
    return line


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = struct.pack(">BBI", kind, flags, stream)
    return len(payload).to_bytes(3) + head + payload


def _headers(path: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "127.0.0.1",
        "te": "trailers",
        "content-type": "application/grpc",
        "user-agent": "sysmonstm-bench",
    }
    return b"".join(_field(name, value) for name, value in fields.items())


def _field(name: str, value: str) -> bytes:
    """Return a header that is kept in no table; all are shorter than 127 bytes."""
    return bytes((0, len(name))) + name.encode() + bytes((len(value),)) + value.encode()
