"""What the web server takes in before Django sees any of it.

Daphne waits without end for a request, keeps whatever and whoever comes, and lets
anybody say by a header below which path the hub lives. Here are a size, a time, a
number of connections, and no such header.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

# First of all: it makes twisted use asyncio's event loop.
import daphne.server  # type: ignore[import-untyped]
from daphne import http_protocol
from twisted.internet import reactor
from twisted.web import http

from hub.log import get_logger

# A form, or what a program says to the API. Samples come by gRPC.
MAX_BODY_BYTES = 1024 * 1024
# From the first line to the last byte. A mebibyte passes the slowest line in that.
RECEIVE_S = 30.0
# Until there is a first line: of a new connection, and after each answer.
IDLE_S = 60.0
# Connections without a whole request, new ones and those that browsers keep. Beyond
# it the one that has waited longest goes: whoever has something to ask is not that.
# A process may often have no more than 1,024 files open.
MAX_WAITING = 500
SAY_EVERY_S = 60.0

ROOT_PATH = b"daphne-root-path"
TOO_LARGE = b"413 Content Too Large"
TOO_SLOW = b"408 Request Timeout"

log = get_logger(__name__)


class Request(http_protocol.WebRequest):  # type: ignore[misc]
    """A request that is small, and soon complete."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._taken, self._is_refused = 0, False
        clock: Any = reactor
        self._watchdog: Any = clock.callLater(RECEIVE_S, self._refuse, TOO_SLOW)
        super().__init__(*args, **kwargs)
        self.channel.begin()

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is not None and length > MAX_BODY_BYTES:
            self._refuse(TOO_LARGE)

    def handleContentChunk(self, data: bytes) -> None:
        # In pieces nobody says how many there will be.
        self._taken += len(data)
        if self._taken > MAX_BODY_BYTES:
            self._refuse(TOO_LARGE)
        if not self._is_refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        self._at_ease()
        if self._is_refused:
            return None
        self.requestHeaders.removeHeader(ROOT_PATH)
        return super().process()

    def connectionLost(self, reason: Any) -> None:
        self._at_ease()
        super().connectionLost(reason)

    def _refuse(self, status: bytes) -> None:
        if self._is_refused or self.channel is None:
            return
        self._is_refused = True
        log.warning("web.refused", status=status.decode())
        said = b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n"
        self.channel.transport.write(said + b"Content-Length: 0\r\n\r\n")
        self.channel.loseConnection()

    def _at_ease(self) -> None:
        if self._watchdog.active():
            self._watchdog.cancel()


# Partly typed, which is worse than not at all.
_Channel: Any = http.HTTPChannel


class Channel(_Channel):  # type: ignore[misc]
    """A connection that may not put off its end with a byte now and then."""

    _waiting: OrderedDict[Channel, None] = OrderedDict()
    _said_s = -SAY_EVERY_S

    def begin(self) -> None:
        """The first line of a request is here: from now on its own time counts."""
        super().resetTimeout()

    def resetTimeout(self) -> None:
        """Twisted calls this for every byte that comes."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self._wait()

    def allContentReceived(self) -> None:
        self._waiting.pop(self, None)
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        # First: the next request may be here already.
        self._wait()
        super().requestDone(request)

    def connectionLost(self, reason: Any) -> None:
        self._waiting.pop(self, None)
        super().connectionLost(reason)

    def _wait(self) -> None:
        self._waiting[self] = None
        if len(self._waiting) > MAX_WAITING:
            oldest, _ = self._waiting.popitem(last=False)
            oldest.forceAbortClient()
            # Not for each: somebody could fill the log.
            if time.monotonic() - Channel._said_s >= SAY_EVERY_S:
                Channel._said_s = time.monotonic()
                log.warning("web.crowded", waiting=MAX_WAITING)


class Factory(http_protocol.HTTPFactory):  # type: ignore[misc]
    protocol = Channel

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.timeOut = IDLE_S


def guard() -> None:
    """Have daphne make our connections and requests."""
    http_protocol.WebRequest = Request
    daphne.server.HTTPFactory = Factory
