"""Daphne in this process: HTTP and WebSockets on everybody's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from asgiref.typing import ASGI3Application
from daphne.endpoints import build_endpoint_description_strings  # type: ignore[import-untyped]
from daphne.server import Server, twisted_loop  # type: ignore[import-untyped]
from daphne.ws_protocol import WebSocketProtocol  # type: ignore[import-untyped]
from twisted.internet import reactor

from hub.embedded import claims

# A browser sends acknowledgements of a few bytes. autobahn holds whole messages
# that leave to the same limit, and a frame of a thousand machines is half a MiB.
MAX_FRAME_BYTES = 8 * 1024
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
PING_S = 20
PONG_S = 20

# How long an application may go on after its browser has left.
LEFT_S = 2

GOING_AWAY = 1001
CLOSE_S = 1.0
ANSWER_S = 20.0

Main = Callable[["Web"], Coroutine[Any, Any, None]]


class _Listening(Server):  # type: ignore[misc]
    """Daphne's server; it also keeps its ports, and tells when somebody left."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ports: list[Any] = []
        self.refusal = ""
        self.left = asyncio.Event()

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        self.ports.append(port)

    def listen_error(self, failure: Any) -> None:
        self.refusal = failure.getErrorMessage()
        self.stop()

    def protocol_disconnected(self, protocol: Any) -> None:
        super().protocol_disconnected(protocol)
        self.left.set()


class Web:
    def __init__(self, application: ASGI3Application, host: str, port: int) -> None:
        self._host = host
        self._server = _Listening(
            application=application,
            endpoints=build_endpoint_description_strings(host=host, port=port),
            signal_handlers=False,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            websocket_timeout=-1,
            websocket_max_message_size=MAX_MESSAGE_BYTES,
            websocket_max_frame_size=MAX_FRAME_BYTES,
            application_close_timeout=LEFT_S,
            server_name="",
        )

    @property
    def port(self) -> int:
        """The port that is listened on, also when 0 was asked for."""
        return int(self._server.ports[0].getHost().port)

    def run(self, main: Main) -> None:
        """Listen, run `main` on the same loop, and close when it has ended.

        Raises what `main` raises, and Refused when the port cannot be had. Owns
        the calling thread, which must be the main one, until then.
        """
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            task = twisted_loop.create_task(main(self))
            task.add_done_callback(lambda _: self._server.stop())
            tasks.append(task)

        self._server.ready_callable = lambda: reactor.callWhenRunning(begin)
        self._server.run()
        if self._server.refusal:
            raise claims.Refused(f"HTTP_PORT: {self._server.refusal}")
        _finish(twisted_loop)
        tasks[0].result()

    async def answers(self) -> None:
        """Return when a request has been answered; the first one is the slowest."""
        async with asyncio.timeout(ANSWER_S):
            host = claims.reachable(self._host)
            reader, writer = await asyncio.open_connection(host, self.port)
            try:
                writer.write(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
                await reader.readline()
            finally:
                writer.close()

    async def close(self) -> None:
        """Let nobody in any more, and tell each browser that we are leaving."""
        for port in self._server.ports:
            port.stopListening()
        sockets = [
            connection
            for connection in self._server.connections
            if isinstance(connection, WebSocketProtocol)
            and connection.state == connection.STATE_OPEN
        ]
        for socket in sockets:
            # Daphne's own close knows no code below 3000 but 1000.
            socket.sendCloseFrame(code=GOING_AWAY)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                while any(socket.state != socket.STATE_CLOSED for socket in sockets):
                    self._server.left.clear()
                    await self._server.left.wait()


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on the loop and close it, as asyncio.run would."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
