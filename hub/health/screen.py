"""The prober's own small browser: a WebSocket that watches the canary alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from hub.log import get_logger
from hub.machines.registry import CANARY

OPEN_S = 5.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
# Frames of one machine in the short view.
MAX_FRAME_BYTES = 64 * 1024

log = get_logger(__name__)


class Screen:
    """Connects for as long as it runs; `shown` waits for a sample's time."""

    def __init__(self, web: str, token: Callable[[], Awaitable[str]]) -> None:
        query = urlencode({"view": "summary", "machine": CANARY})
        self._url = f"{web.replace('http', 'ws', 1)}/ws?{query}"
        self._token = token
        # Kept until the hub refuses it: it may have expired or been revoked.
        self._secret = ""
        self._time_ms = 0
        self._moved = asyncio.Event()

    async def shown(self, time_ms: int) -> None:
        """Return when a frame has brought a sample of this time, or a later one."""
        while self._time_ms < time_ms:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Watch until cancelled, whatever happens to the line."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                heard = await self._watch()
            except (InvalidHandshake, ConnectionClosed) as refused:
                log.info("canary.screen_refused", error=str(refused))
                self._secret, heard = "", False
            except (OSError, TimeoutError) as gone:
                log.info("canary.screen_dark", error=str(gone))
                heard = False
            except Exception:
                # It is a probe: what it trips over is told as a late frame.
                log.exception("canary.screen_failed")
                heard = False
            pause_s = FIRST_PAUSE_S if heard else min(pause_s * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))

    async def _watch(self) -> bool:
        """Watch one connection to its end; tell whether it brought anything."""
        heard = False
        self._secret = self._secret or await self._token()
        async with connect(
            self._url,
            additional_headers={"Authorization": f"Bearer {self._secret}"},
            open_timeout=OPEN_S,
            close_timeout=1,
            max_size=MAX_FRAME_BYTES,
            # Nobody stands between: the way itself is measured.
            compression=None,
            proxy=None,
        ) as socket:
            async for text in socket:
                heard = True
                await self._take(socket, text)
        return heard

    async def _take(self, socket: ClientConnection, text: str | bytes) -> None:
        frame = orjson.loads(text)
        times = [one["time"] or 0 for one in frame["machines"] if one["id"] == CANARY]
        if times and times[-1] > self._time_ms:
            self._time_ms = times[-1]
            self._moved.set()
        await socket.send(orjson.dumps({"type": "ack", "n": frame["n"]}).decode())
