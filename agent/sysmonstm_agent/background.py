"""Look at what may be slow without ever making a tick wait for it.

Each look runs on a thread of its own, one at a time, and the tick takes the
newest that has finished. A look that never comes back costs one thread; nothing
waits for it, and nothing asks again until it is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sysmonstm_agent.collector import NoData
from sysmonstm_agent.metric import Metric

T = TypeVar("T")

# Of collectors that look now and then, each in its own attribute.
AGE = Metric(
    "sysmonstm.agent.collector.age",
    "s",
    "Time since a collector that looks in the background last looked.",
)


class Overdue(Exception):
    """What is looked at does not answer."""


@dataclass(slots=True)
class Look(Generic[T]):
    """One look, by the clock of the ticks; `done` is set by its thread."""

    began_s: float
    done: threading.Event
    took_s: float = 0.0
    value: T | None = None
    error: Exception | None = None


class Background(Generic[T]):
    """Safe in any thread: what is shown live asks beside what is stored."""

    def __init__(
        self,
        look: Callable[[], T],
        *,
        name: str,
        every_s: float,
        patience_s: float = 0.1,
        overdue_s: float = 60.0,
        absent_s: float = 60.0,
    ) -> None:
        """Look at most every `every_s`, or `absent_s` where there was nothing.

        A tick that begins a look waits `patience_s` for it, unless the one before
        was slower than that: quick answers are then fresh, and slow ones cost
        nothing. A look that is not back after `overdue_s` is a failure.
        """
        self._look = look
        self._name = name
        self._every_s = every_s
        self._patience_s = patience_s
        self._overdue_s = overdue_s
        self._absent_s = max(absent_s, every_s)
        self._lock = threading.Lock()
        self._running: Look[T] | None = None
        self._newest: Look[T] | None = None

    def newest(self, now_s: float) -> tuple[T, float]:
        """Return the newest finished look and its age.

        Raises what that look raised, NoData when none has finished yet, Overdue
        when the one under way takes too long.
        """
        if (begun := self._begin(now_s)) and self._quick:
            begun.done.wait(self._patience_s)
        running, newest = self._take()
        if running is not None and now_s - running.began_s >= self._overdue_s:
            late_s = now_s - running.began_s
            raise Overdue(f"{self._name} has not answered for {late_s:.0f} s")
        if newest is None:
            raise NoData("not looked yet")
        if newest.error is not None:
            # Without this each tick would lengthen the traceback of the last.
            raise newest.error.with_traceback(None)
        # One that began for another caller may be a little younger than this tick.
        age_s = max(0.0, now_s - newest.began_s)
        return newest.value, age_s  # type: ignore[return-value]

    @property
    def _quick(self) -> bool:
        return self._newest is None or self._newest.took_s <= self._patience_s

    def _begin(self, now_s: float) -> Look[T] | None:
        """Begin a look if it is time, unless one is under way."""
        self._take()
        with self._lock:
            if self._running is not None or self._is_early(now_s):
                return None
            self._running = look = Look[T](now_s, threading.Event())
        # A daemon: the agent must be able to end while it is stuck.
        threading.Thread(
            target=self._run, args=(look,), name=self._name, daemon=True
        ).start()
        return look

    def _is_early(self, now_s: float) -> bool:
        newest = self._newest
        if newest is None:
            return False
        absent = isinstance(newest.error, NoData)
        return now_s - newest.began_s < (self._absent_s if absent else self._every_s)

    def _take(self) -> tuple[Look[T] | None, Look[T] | None]:
        """Take over the look under way if it is back; return that and the newest."""
        with self._lock:
            if self._running is not None and self._running.done.is_set():
                self._newest, self._running = self._running, None
            return self._running, self._newest

    def _run(self, look: Look[T]) -> None:
        started_s = time.monotonic()
        try:
            look.value = self._look()
        # It is raised again where the collectors are run and counted.
        except Exception as error:  # noqa: BLE001
            look.error = error
        look.took_s = time.monotonic() - started_s
        look.done.set()


class Looks:
    """One of each kind for all collectors of a machine, by name.

    What is shown live has collectors of its own; a disk is not to be asked for its
    health, nor an engine for its containers, because somebody opens a page.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Background[Any]] = {}

    def get(self, name: str, make: Callable[[], Background[T]]) -> Background[T]:
        with self._lock:
            if name not in self._kept:
                self._kept[name] = make()
            return self._kept[name]
