"""An event loop that gRPC wakes less often: for many events at a time while it is busy.

gRPC's own thread writes a byte into a socket for each event, and the loop, told that
the socket is readable, takes one byte and handles what there is. So each message of
each agent wakes the loop by itself. While there are many, this loop looks after the
socket by the clock instead, and not at all in between.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any

import uvloop

# The longest that an event waits while there are many. Where so many come, each sample
# waits for longer in the writer, for others to share its COMMIT.
EVERY_S = 0.05

# With fewer in that time the loop is told of each at once. A message and what it is
# answered are an event each.
MANY = 10

# While calls begin nobody waits: gRPC takes the next call only when it has given this
# one away, so that by the clock thousands of agents would be let in one by one.
HURRY_S = 0.5

_INT = struct.Struct("i")


class Loop(uvloop.Loop):
    """uvloop's, but for how it hears of gRPC."""

    _wakes: Wakes | None = None

    # uvloop's own types for these two are not those of asyncio either.
    def add_reader(  # type: ignore[override]
        self, fd: Any, callback: Callable[..., Any], *args: Any
    ) -> None:
        if isinstance(fd, socket.socket) and _is_of_grpc(callback):
            self._wakes = Wakes(super(), fd, callback)
            self._wakes.start()
        else:
            super().add_reader(fd, callback, *args)

    def hurry(self) -> None:
        """Let no event wait for the next half second: a call begins."""
        if self._wakes is not None:
            self._wakes.hurry()

    def remove_reader(self, fd: Any) -> None:  # type: ignore[override]
        if self._wakes is not None and self._wakes.read is fd:
            self._wakes.stop()
            self._wakes = None
        else:
            super().remove_reader(fd)


class Wakes:
    """Stands between gRPC's socket and what handles its events."""

    def __init__(
        self, loop: Any, read: socket.socket, handle: Callable[[], object]
    ) -> None:
        self.read = read
        self._loop, self._handle = loop, handle
        self._since_s = self._hurry_until_s = 0.0
        self._count = 0
        self._next_look: asyncio.TimerHandle | None = None
        self._is_listening = self._has_ended = False

    def start(self) -> None:
        """Be told of the next event at once."""
        self._look_no_more()
        if not (self._is_listening or self._has_ended):
            self._loop.add_reader(self.read, self._readable)
            self._is_listening = True

    def hurry(self) -> None:
        """Be told of each event at once for a while."""
        self._hurry_until_s = self._loop.time() + HURRY_S
        self.start()

    def stop(self) -> None:
        """Touch the socket no more."""
        self._has_ended = True
        self._look_no_more()
        self._deaf()

    def _deaf(self) -> None:
        if self._is_listening:
            self._loop.remove_reader(self.read)
        self._is_listening = False

    def _look_later(self) -> None:
        if self._has_ended or self._loop.time() < self._hurry_until_s:
            self.start()
            return
        self._deaf()
        self._next_look = self._loop.call_later(EVERY_S, self._look)

    def _look_no_more(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None

    def _readable(self) -> None:
        now_s = self._loop.time()
        if now_s - self._since_s > EVERY_S:
            self._since_s, self._count = now_s, 0
        self._count += self._take()
        if self._count >= MANY:
            self._look_later()

    def _look(self) -> None:
        self._next_look = None
        if self._take() >= MANY:
            self._look_later()
        else:
            self.start()

    def _take(self) -> int:
        """Handle all events; return how many there were."""
        told = _waiting(self.read)
        # gRPC's handler takes a byte itself, and then handles all events there are.
        if told > 1:
            self.read.recv(told - 1)
        if told:
            self._handle()
        return told


def _waiting(read: socket.socket) -> int:
    """Return how many bytes there are to read."""
    told = fcntl.ioctl(read, termios.FIONREAD, bytes(_INT.size))
    return int(_INT.unpack(told)[0])


def _is_of_grpc(callback: Callable[..., Any]) -> bool:
    """Tell gRPC's handler; if a later one has another name, nothing is changed."""
    function = getattr(callback, "func", callback)
    return getattr(function, "__name__", "") == "_handle_events"


def hurry() -> None:
    """Tell the running loop that a call begins."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, Loop):
        loop.hurry()
