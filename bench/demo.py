"""A hub with machines that only seem to live: `python -m bench.demo --machines 30`.

For looking at pages, and for the browser tests. The samples are made up
(`fleet.py`); from the raw tier on everything is the hub's own: storage, hot
state, events, live line and pages. One process; ends on SIGTERM and Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.fleet import Member

Live = Callable[[asyncio.AbstractEventLoop], None]

# Precomputed moments of each machine, gone through again and again.
ROUNDS = 60
# Machines speak spread over the interval, as real ones do.
SLICE_S = 0.1


class Feeder:
    """Stores and publishes a made-up sample of each machine every interval."""

    def __init__(
        self, members: Sequence[Member], interval_s: float, stopped: threading.Event
    ) -> None:
        from bench.seed import register

        self._interval_s = interval_s
        self._stopped = stopped
        times = np.array([time.time() + n * interval_s for n in range(ROUNDS)])
        self._told = [register(member, times, interval_s) for member in members]
        self._sequences = _sequences()

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Feed until stopped; whoever watches is told of the machines first."""
        from hub.events.event import MACHINES_CHANGED

        self._publish(MACHINES_CHANGED, b"{}", loop)
        at = 0.0
        while not self._stopped.wait(SLICE_S):
            before, at = at, at + SLICE_S * len(self._told) / self._interval_s
            self._feed(range(int(before), int(at)), loop)

    def _feed(self, turns: range, loop: asyncio.AbstractEventLoop) -> None:
        from bench.seed import EPOCH
        from hub.events.event import METRICS_RAW
        from hub.storage import raw
        from hub.storage.hot import get_hot
        from hub.storage.sample import StoredSample, pack

        now_ms = time.time_ns() // 1_000_000
        samples = []
        for turn in turns:
            pk, layout, rows = self._told[turn % len(self._told)]
            number = self._sequences[pk] = self._sequences.get(pk, 0) + 1
            values = rows[turn // len(self._told) % ROUNDS].tobytes()
            sample = StoredSample(pk, layout, number, now_ms, now_ms, values)
            samples.append(sample)
        if not samples:
            return
        raw.write([raw.Incoming(sample, EPOCH) for sample in samples])
        get_hot().put(samples)
        self._publish(METRICS_RAW, pack(samples), loop)

    def _publish(
        self, topic: str, payload: bytes, loop: asyncio.AbstractEventLoop
    ) -> None:
        from hub.events.bus import get_bus
        from hub.events.event import Event

        told = get_bus().publish(Event(topic, payload))
        asyncio.run_coroutine_threadsafe(told, loop).result(timeout=5)


def _sequences() -> dict[int, int]:
    """Return the last number of each machine's spool."""
    from hub.storage.models import Cursor

    return {one.machine_id: one.sequence for one in Cursor.objects.all()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=30)
    parser.add_argument("--silent", type=int, default=0, help="how many have stopped")
    parser.add_argument("--join-after", type=float, default=0, help="in seconds")
    parser.add_argument("--minutes", type=float, default=60, help="stored beforehand")
    parser.add_argument("--interval", type=float, default=5)
    parser.add_argument("--port", type=int, default=8000)
    told = parser.parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    # First of all: it puts Twisted on asyncio.
    from daphne.server import Server  # type: ignore[import-untyped]

    from hub.asgi import application

    # With the apps loaded, which happens just above.
    from bench.fleet import fleet  # isort: skip

    link = _prepare(told)
    stopped = threading.Event()

    def live(loop: asyncio.AbstractEventLoop) -> None:
        if stopped.wait(told.join_after):
            return
        members = fleet(told.machines)[: told.machines - told.silent]
        Feeder(members, told.interval, stopped).run(loop)

    server = Server(application, endpoints=[f"tcp:{told.port}:interface=127.0.0.1"])
    server.ready_callable = lambda: _ready(server, link, live)
    try:
        server.run()
    finally:
        stopped.set()


def _prepare(told: argparse.Namespace) -> str:
    from django.core.management import call_command

    from bench.seed import fill, report
    from hub.people.owner import owner
    from hub.people.signin import make_link

    call_command("migrate", verbosity=0)
    if not told.join_after:
        fill(
            told.machines,
            minutes=told.minutes,
            interval_s=told.interval,
            silent=told.silent,
        )
        report()
        _tag()
    return make_link(owner())


def _tag() -> None:
    """Sort the machines as somebody might: those at home, and the others."""
    from bench.fleet import ALONE
    from hub.machines.models import Machine, Tag

    at_home = Machine.objects.filter(machine_id__in=ALONE)
    others = Machine.objects.exclude(machine_id__in=ALONE)
    for name, machines in {"home": at_home, "production": others}.items():
        Tag.objects.get_or_create(name=name)[0].machines.add(*machines)


def _ready(server: object, link: str, live: Live) -> None:
    [(_, port)] = server.listening_addresses  # type: ignore[attr-defined]
    print(f"Sign in: http://127.0.0.1:{port}{link}", flush=True)
    # The reactor's loop, which runs by now.
    loop = asyncio.get_event_loop()
    threading.Thread(target=live, args=(loop,), daemon=True).start()


if __name__ == "__main__":
    main()
