"""What the web server takes in before Django sees any of it.

Daphne waits without end for a request, keeps whatever comes, and lets anybody say by a
header below which path the hub lives. Here are a size, a time, and no such header.
"""

from __future__ import annotations

from typing import Any

# First of all: it makes twisted use asyncio's event loop.
import daphne.server  # type: ignore[import-untyped]  # noqa: F401
from daphne import http_protocol
from twisted.internet import reactor

from hub.log import get_logger

# A form, or what a program says to the API. Samples come by gRPC.
MAX_BODY_BYTES = 1024 * 1024
# From the first line to the last byte. A mebibyte passes the slowest line in that.
RECEIVE_S = 30.0

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


def guard() -> None:
    """Have daphne make our requests."""
    http_protocol.WebRequest = Request
