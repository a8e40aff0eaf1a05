"""One browser's socket on /ws."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from hub import log
from hub.live import origin
from hub.live.fanout import TooMany, Watcher
from hub.live.feed import Feed, NotFound, SignedOut
from hub.live.feeds import get_feed
from hub.live.frames import (
    MAX_MESSAGE_BYTES,
    SUMMARY,
    VIEWS,
    BadMessage,
    Close,
    read_ack,
)
from hub.live.permits import Credential, Permit, Session, Token, permits
from hub.people import address
from hub.storage.database import DatabaseDown

MAX_MACHINES_ASKED = 100
BEARER = "bearer "

logger = log.get_logger(__name__)


class LiveConsumer(AsyncWebsocketConsumer):
    """Checks the door, then sends what the feed has whenever there is credit."""

    # No channel layer: with Redis away it would end the socket.
    channel_layer_alias = "none"

    watcher: Watcher | None = None
    sending: asyncio.Task[None] | None = None

    async def dispatch(self, message: Any) -> None:
        # Channels would go through the database's thread before each message,
        # and acknowledgements come by the thousand.
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        credential = self._credential()
        by_cookie = not isinstance(credential, Token)
        if credential is None or not origin.is_ours(self.scope, required=by_cookie):
            # Before the handshake is answered: 403.
            await self.close()
            return
        try:
            permit = await _permit(credential)
        except DatabaseDown:
            await self._refuse(Close.TRY_LATER)
            return
        if permit is None:
            await self.close()
            return
        asked = _asked(self.scope["query_string"])
        if asked is None:
            await self._refuse(Close.BAD_MESSAGE)
            return
        view, machines = asked
        await self.accept()
        whence = address.of_socket(self.scope)
        watcher = Watcher(permit.user, view, machines, address=whence)
        await self._join(watcher, credential)

    async def disconnect(self, code: int) -> None:
        self._leave()
        if self.sending is not None:
            self.sending.cancel()

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        if self.watcher is None:
            return
        if text_data is None:
            self.watcher.close(Close.BAD_MESSAGE)
        elif len(text_data.encode(errors="replace")) > MAX_MESSAGE_BYTES:
            self.watcher.close(Close.TOO_LARGE)
        else:
            try:
                self.watcher.acknowledged(read_ack(text_data))
            except BadMessage:
                self.watcher.close(Close.BAD_MESSAGE)

    def _credential(self) -> Credential | None:
        if named := origin.headers(self.scope, b"authorization"):
            bearer = len(named) == 1 and named[0].lower().startswith(BEARER)
            return Token(named[0][len(BEARER) :].strip()) if bearer else None
        key = self.scope["session"].session_key
        user = self.scope["user"]
        return Session(key) if key and user and user.is_authenticated else None

    async def _join(self, watcher: Watcher, credential: Credential) -> None:
        feed = get_feed()
        try:
            await feed.join(watcher, credential)
        except TooMany:
            await self._end(Close.TOO_MANY)
        except SignedOut:
            await self._end(Close.SIGNED_OUT)
        except NotFound:
            await self._end(Close.NOT_FOUND)
        except (DatabaseDown, TimeoutError):
            await self._end(Close.TRY_LATER)
        else:
            self.watcher = watcher
            self.sending = asyncio.create_task(self._send_always(feed, watcher))

    async def _send_always(self, feed: Feed, watcher: Watcher) -> None:
        try:
            await self.send(text_data=feed.snapshot(watcher))
            while watcher.closing is None:
                await watcher.wake.wait()
                watcher.wake.clear()
                if watcher.may_send:
                    await self.send(text_data=feed.changes(watcher))
            await self._end(watcher.closing)
        except Exception:
            logger.exception("live.socket_failed")
            with suppress(Exception):
                await self._end(Close.TRY_LATER)
        finally:
            self._leave()

    async def _end(self, why: Close) -> None:
        # A plain int: the server looks for exactly that type.
        await self.close(int(why))

    def _leave(self) -> None:
        if self.watcher is not None:
            get_feed().leave(self.watcher)

    async def _refuse(self, why: Close) -> None:
        """Say why: a browser cannot see the reason of a refused handshake."""
        await self.accept()
        await self._end(why)


def _asked(query: bytes) -> tuple[str, frozenset[str] | None] | None:
    """Return the view and the machines that were asked for, None for nonsense."""
    try:
        asked = parse_qs(query.decode("ascii"), max_num_fields=MAX_MACHINES_ASKED + 1)
    except ValueError:
        return None
    view = asked.get("view", [SUMMARY])[-1]
    if view not in VIEWS:
        return None
    machines = asked.get("machine")
    return view, frozenset(machines) if machines else None


@database_sync_to_async
def _permit(credential: Credential) -> Permit | None:
    return permits([credential])[credential]
