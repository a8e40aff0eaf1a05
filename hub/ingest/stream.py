"""One agent's stream, from Hello to its end."""

from __future__ import annotations

import asyncio
import secrets
import time

import grpc

from hub.ingest.acks import Acks
from hub.ingest.allowance import Allowance
from hub.ingest.decode import Source
from hub.ingest.open_call import Context, OpenCall

# Snapshots of processes: an agent sends one a minute and what it was asked for. This
# is for one that does not keep to it.
SNAPSHOTS = 8
SNAPSHOT_EVERY_S = 5.0
# Live mode asks for one a second.
INSTANTS = 4
INSTANT_EVERY_S = 0.5

NOBODY = Source(0, b"")


class Stream(OpenCall):
    """What others may do to a stream: tell it something, or end it.

    Made by the task that handles it.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.acks = Acks()
        # Known after Hello.
        self.source = NOBODY
        self.clock_skew_ms = 0
        self.snapshots = Allowance(SNAPSHOTS, SNAPSHOT_EVERY_S)
        self.instants = Allowance(INSTANTS, INSTANT_EVERY_S)
        # Its agent has said goodbye.
        self.leaves = False
        # Tells it from other streams of its machine, in any process.
        self.mark = secrets.token_hex(8)
        self.opened_s = time.monotonic()
        # Whether every process has heard of it.
        self.announced = False
        # Something it sent was dropped: what follows is shown, and not stored
        # until the agent comes back and resumes at the cursor.
        self.lagging = False
        # Set with `ended`. From there on nothing it sends may enter the writer's queue.
        self.over = asyncio.Event()

    @property
    def machine(self) -> int:
        """Its machine's key; 0 until Hello."""
        return self.source.machine

    @property
    def peer(self) -> str:
        """The other side's address without its port: "ipv4:192.0.2.7"."""
        return str(self._context.peer()).rpartition(":")[0] or "unix"

    async def end(self, code: grpc.StatusCode, sentence: str) -> None:
        self.over.set()
        await super().end(code, sentence)
