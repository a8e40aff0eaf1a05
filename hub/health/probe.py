"""One dependency asked whether it is well, within a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock

from hub.log import get_logger

DEADLINE_S = 2.0

# Anybody may ask; nobody can make the hub ask its database more often.
FRESH_S = 1.0

log = get_logger(__name__)


class Unwell(Exception):
    """It answers, and is not well; the text is a sentence for people."""


class State(StrEnum):
    OK = "ok"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found; the sentence is for people who signed in."""

    state: State
    sentence: str
    milliseconds: float
    # Unix milliseconds of when it was first found down; None while it is not.
    down_since_ms: int | None = field(default=None, compare=False)


class Probe:
    """Asks by `check`, which returns a sentence or raises."""

    def __init__(
        self,
        name: str,
        check: Callable[[], Awaitable[str]],
        *,
        deadline_s: float = DEADLINE_S,
        clock: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._check = check
        self._deadline_s = deadline_s
        self._clock, self._now_s = clock, now_s
        self._found_at = -FRESH_S
        self._last = Finding(State.OK, "Not asked yet.", 0)

    async def find(self) -> Finding:
        """Ask, or repeat what was found a moment ago."""
        if self._clock() - self._found_at >= FRESH_S:
            self._last = await self._ask()
            self._found_at = self._clock()
        return self._last

    async def _ask(self) -> Finding:
        started = self._clock()
        try:
            sentence = await asyncio.wait_for(self._check(), self._deadline_s)
        except TimeoutError:
            finding = self._down(f"No answer within {self._deadline_s:g} s.")
        except Unwell as unwell:
            finding = self._down(str(unwell))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not well
            # Its text may hold addresses and names: that is for the log alone.
            finding = self._down(f"Refused ({type(error).__name__}).", str(error))
        else:
            if self._last.state == State.DOWN:
                log.info("dependency.up", dependency=self.name)
            finding = Finding(State.OK, sentence, 0)
        took_ms = round((self._clock() - started) * 1000, 1)
        return replace(finding, milliseconds=took_ms)

    def _down(self, sentence: str, error: str = "") -> Finding:
        if self._last.state == State.OK:
            log.warning(
                "dependency.down",
                dependency=self.name,
                sentence=sentence,
                error=error,
            )
        since_ms = self._last.down_since_ms or int(self._now_s() * 1000)
        return Finding(State.DOWN, sentence, 0, since_ms)


class InThread:
    """Makes a blocking check awaitable; a check that hangs holds one thread.

    While an answer is awaited, everybody who asks awaits that one.
    """

    def __init__(self, check: Callable[[], str]) -> None:
        self._check = check
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._lock = Lock()
        self._asked: Future[str] | None = None

    async def __call__(self) -> str:
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = self._pool.submit(self._check)
            asked = self._asked
        return await asyncio.wrap_future(asked)
