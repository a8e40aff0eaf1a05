"""The open calls: how many each may have, and how one is ended."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Set
from datetime import datetime
from typing import Any

import grpc
from django.utils import timezone

from hub.events.errands import Errands
from hub.ingest.allowance import Allowance
from hub.ingest.open_call import OpenCall
from hub.log import get_logger
from hub.machines.credentials import Holder

log = get_logger(__name__)

# A new call beside an old one that has not noticed yet that its line is gone.
MAX_OF_AGENT = 2
# Without a credential of their own agents are told apart by address: a site behind
# NAT, not a flood.
MAX_OF_ADDRESS = 2_000
# Whoever is no agent: programs that read, and anybody.
MAX_OF_OTHERS = 100

# How often an agent may begin a call of a kind: a line that comes and goes, or a
# program that is started again and again. Each costs questions to the database.
BEGUN, BEGUN_EVERY_S = 60, 5.0
# Agents whose beginnings are counted; whoever was not heard for longest begins anew.
MAX_COUNTED = 50_000

SWEEP_S = 2.0

REPLACED = "The credential was replaced; connect again with the new one."


class TooMany(Exception):
    """No room for another such call of this agent (temporary)."""


class Call(OpenCall):
    """One open call. Made by the task that handles it."""

    def __init__(
        self,
        context: Any,
        *,
        method: str,
        address: str,
        digest: str,
        holder: Holder | None,
        is_agent: bool = True,
    ) -> None:
        super().__init__(context)
        self.digest = digest
        self.holder = holder
        self.key = (method, f"#{holder.credential}" if holder else address)
        others = MAX_OF_ADDRESS if is_agent else MAX_OF_OTHERS
        self.limit = MAX_OF_AGENT if holder else others


class Calls:
    """All that are open in this process."""

    def __init__(
        self, denied: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._denied, self._clock = denied, clock
        self._begun: OrderedDict[tuple[str, str], Allowance] = OrderedDict()
        self._open: set[Call] = set()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._ending = Errands()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, call: Call) -> None:
        """Count a call in; raises TooMany."""
        if self._counts[call.key] >= call.limit:
            raise TooMany("Too many such calls of this agent or address.")
        if call.holder and not self._may_begin(call.key):
            raise TooMany("This agent calls too often; come back in a while.")
        self._counts[call.key] += 1
        self._open.add(call)

    def _may_begin(self, key: tuple[str, str]) -> bool:
        allowance = self._begun.pop(key, None)
        if allowance is None:
            allowance = Allowance(BEGUN, BEGUN_EVERY_S, self._clock)
        self._begun[key] = allowance
        if len(self._begun) > MAX_COUNTED:
            self._begun.popitem(last=False)
        return allowance.allow()

    def close(self, call: Call) -> None:
        call.finished.set()
        if call not in self._open:
            return
        self._open.discard(call)
        self._counts[call.key] -= 1
        if not self._counts[call.key]:
            del self._counts[call.key]

    def live(self) -> set[int]:
        """Return the credentials in use."""
        return {call.holder.credential for call in self._open if call.holder}

    def keep(self, looked: Set[int], still: Mapping[str, Holder]) -> None:
        """End the calls whose secret opens nothing any more.

        `looked`: the credentials that this is about.
        """
        for call in list(self._open):
            if call.holder is None or call.holder.credential not in looked:
                continue
            holder = still.get(call.digest)
            if holder is None:
                self._end(call, grpc.StatusCode.UNAUTHENTICATED, self._denied)
            else:
                # From now on it may have an end.
                call.holder = holder

    async def sweep(
        self,
        *,
        every_s: float = SWEEP_S,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        """End the calls whose secret was replaced long enough ago, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            moment = now()
            for call in list(self._open):
                if call.holder and not call.holder.holds(moment):
                    # Not UNAUTHENTICATED: its agent has the new one.
                    self._end(call, grpc.StatusCode.UNAVAILABLE, REPLACED)

    def _end(self, call: Call, code: grpc.StatusCode, sentence: str) -> None:
        if call.ended:
            return
        machine = call.holder.machine_id if call.holder else ""
        log.warning("call.ended", method=call.key[0], machine=machine, why=sentence)
        self._ending.start(call.end(code, sentence))
