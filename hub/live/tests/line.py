"""A browser's side of the line, and a machine's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import urlencode

import numpy as np
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from hub.asgi import application
from hub.events.bus import get_bus
from hub.events.event import METRICS_RAW, Event
from hub.live.frames import Close
from hub.machines.models import Machine
from hub.storage import raw
from hub.storage.hot import get_hot
from hub.storage.layouts import LayoutInfo
from hub.storage.sample import StoredSample, pack
from hub.testing.patience import PATIENCE_S

ORIGIN = ("Origin", "http://localhost")

_sequences = count(1)


def sample(
    machine: Machine, layout: LayoutInfo, time_ms: int, *values: float
) -> StoredSample:
    vector = np.array(values, "<f4").tobytes()
    received_ms = time_ms + 40
    return StoredSample(
        machine.pk, layout.id, next(_sequences), time_ms, received_ms, vector
    )


def store(
    machine: Machine, layout: LayoutInfo, time_ms: int, *values: float
) -> StoredSample:
    stored = sample(machine, layout, time_ms, *values)
    raw.write([raw.Incoming(stored, b"e" * 16)])
    get_hot().put([stored])
    return stored


async def publish(*samples: StoredSample) -> None:
    await get_bus().publish(Event(METRICS_RAW, pack(samples)))


class Line:
    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self._communicator = communicator
        self.close_code: int | None = None

    async def frame(self, *, ack: bool = True) -> Any:
        told = json.loads(await self._communicator.receive_from(timeout=PATIENCE_S))
        if ack:
            await self.ack(told["n"])
        return told

    async def news(self) -> dict[str, Any]:
        """Return the machines of the next frame that names any, by id."""
        while True:
            told = await self.frame()
            if told["machines"]:
                return {machine["id"]: machine for machine in told["machines"]}

    async def ack(self, number: int) -> None:
        await self.say(json.dumps({"type": "ack", "n": number}))

    async def say(self, text: str = "", *, data: bytes | None = None) -> None:
        if data is not None:
            await self._communicator.send_to(bytes_data=data)
        else:
            await self._communicator.send_to(text_data=text)

    async def is_silent(self, *, for_s: float = 0.3) -> bool:
        return await self._communicator.receive_nothing(timeout=for_s)

    async def ended(self) -> Close:
        """Return why the hub ends the line; there must be no frame before."""
        said = await self._communicator.receive_output(timeout=PATIENCE_S)
        assert said["type"] == "websocket.close", said
        return Close(said["code"])


@asynccontextmanager
async def line(
    client: Client | None = None,
    *,
    headers: tuple[tuple[str, str], ...] = (ORIGIN,),
    **asked: object,
) -> AsyncIterator[Line]:
    """Open a line that the hub accepts, and leave it."""
    communicator = _communicator(client, headers, asked)
    accepted, _ = await communicator.connect(timeout=PATIENCE_S)
    assert accepted
    try:
        yield Line(communicator)
    finally:
        await communicator.disconnect(timeout=PATIENCE_S)


async def is_refused(
    client: Client | None = None,
    *,
    headers: tuple[tuple[str, str], ...] = (ORIGIN,),
    **asked: object,
) -> bool:
    """Tell whether the handshake itself is refused (403)."""
    communicator = _communicator(client, headers, asked)
    accepted, _ = await communicator.connect(timeout=PATIENCE_S)
    await communicator.disconnect(timeout=PATIENCE_S)
    return not accepted


def _communicator(
    client: Client | None,
    headers: tuple[tuple[str, str], ...],
    asked: dict[str, object],
) -> WebsocketCommunicator:
    sent = [("Host", "localhost"), *headers]
    if client is not None and settings.SESSION_COOKIE_NAME in client.cookies:
        key = client.cookies[settings.SESSION_COOKIE_NAME].value
        sent.append(("Cookie", f"{settings.SESSION_COOKIE_NAME}={key}"))
    named = [(name.lower().encode(), value.encode()) for name, value in sent]
    return WebsocketCommunicator(
        application, f"/ws?{urlencode(asked, doseq=True)}", headers=named
    )
