"""A real agent that measures nothing: each sample is f(machine, lane, tick).

    python -m hub.testing.oracle.agent

The agent's own main part runs, with its spool, its client and its stream. Three
things are other: readings come from `Source`, waits are shorter, and a witness
between spool and agent writes a journal. Told by the environment:

    ORACLE_FOLDER       where journal, spool and the files below are
    ORACLE_LANE         which agent of its machine this is
    ORACLE_INTERVAL_S   between two ticks
    ORACLE_SPOOL_AGE_S  how old a spooled sample gets, so that some are evicted

Files in the folder order it about: `pause` (produce nothing), `shift_ms` (how far
its clock is off).
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sysmonstm_agent import agent, backoff, stream
from sysmonstm_agent.client import Client
from sysmonstm_agent.config import load
from sysmonstm_agent.layout import Layout, Sample, pack
from sysmonstm_agent.log import configure
from sysmonstm_agent.measuring import Measuring
from sysmonstm_agent.metric import Metric, Series
from sysmonstm_agent.spool import Spool, Spooled

from hub.testing.oracle import journal, payload
from hub.testing.oracle.payload import Mark

# A minute's patience of the product, compressed. Keepalive stays: the hub permits
# no quicker one, so a half-open line takes its real 40 s.
BASE_S, CAP_S, WELCOME_S = 0.1, 1.0, 3.0

NAMES = ("lane", "tick", "seal.high", "seal.low", "wide")
SERIES = tuple(Series(Metric(f"oracle.{name}", "1", "Known.")) for name in NAMES)
LAYOUTS = {length: Layout(SERIES[:length]) for length in (payload.NARROW, payload.WIDE)}

REAL_TIME = time.time


class Clock:
    """The wall clock of this process, off by order."""

    def __init__(self, folder: Path) -> None:
        self._order = folder / "shift_ms"
        self.shift_ms = 0

    def look(self) -> None:
        if self._order.exists():
            self.shift_ms = int(self._order.read_text() or 0)

    def time(self) -> float:
        return REAL_TIME() + self.shift_ms / 1000


class Source:
    """In the place of the sampler."""

    def __init__(self, machine: str, folder: Path, pen: journal.Pen) -> None:
        self._machine = machine
        self._pause = folder / "pause"
        self._pen = pen
        self._clock = Clock(folder)
        time.time = self._clock.time
        self._lane = int(os.environ["ORACLE_LANE"])
        self.tick = journal.read(folder / "journal").last

    def sample(self) -> Sample:
        while self._pause.exists():
            time.sleep(0.02)
        self._clock.look()
        self.tick += 1
        time_ms = int(time.time() * 1000)
        self._pen.write("make", self.tick, time_ms, self._clock.shift_ms)
        vector = payload.values(self._machine, Mark(self._lane, self.tick))
        return Sample(time_ms, LAYOUTS[len(vector)], pack(list(vector)))


class Witness:
    """Writes down what the spool was given, what it gave, what it forgot."""

    def __init__(self, spool: Spool, source: Source, pen: journal.Pen) -> None:
        self._spool, self._source, self._pen = spool, source, pen
        self._handed_out = 0
        self._lock = threading.Lock()
        pen.write("life", type(spool).__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)

    def append(self, sample: Sample) -> int:
        # A new epoch between the two would pair a number with the wrong one.
        with self._lock:
            sequence = self._spool.append(sample)
            epoch = self._spool.epoch.hex()
        evicted, degraded = self._spool.evicted, int(bool(self._spool.degraded))
        tick = self._source.tick
        self._pen.write("safe", tick, epoch, sequence, evicted, degraded)
        return sequence

    def read(self, after: int, limit: int) -> list[Spooled]:
        found = self._spool.read(after, limit)
        if again := sum(one.sequence <= self._handed_out for one in found):
            self._pen.write("again", again)
        if found:
            self._handed_out = max(self._handed_out, found[-1].sequence)
        return found

    def forget(self, up_to: int) -> None:
        self._pen.write("done", self._spool.epoch.hex(), up_to)
        self._spool.forget(up_to)

    def renew(self) -> None:
        with self._lock:
            self._spool.renew()
            self._pen.write("renew", self._spool.epoch.hex())
            self._handed_out = 0


def main() -> None:
    folder = Path(os.environ["ORACLE_FOLDER"])
    pen = journal.Pen(folder / "journal")
    config = load(os.environ)
    configure(level="info", style="json", machine=config.machine_id)
    source = Source(config.machine_id, folder, pen)
    witnesses: dict[int, Witness] = {}

    def witness(spool: Spool) -> Witness:
        if id(spool) not in witnesses:
            witnesses[id(spool)] = Witness(spool, source, pen)
        return witnesses[id(spool)]

    _patch(witness, source)
    # The product's own bounds are wider: a second, and ten minutes.
    bounds = {
        "interval_s": float(os.environ["ORACLE_INTERVAL_S"]),
        "spool_max_age_s": int(
            os.environ.get("ORACLE_SPOOL_AGE_S", config.spool_max_age_s)
        ),
    }
    agent.run(dataclasses.replace(config, **bounds))  # type: ignore[arg-type]
    pen.write("end")


def _patch(witness: Callable[[Spool], Any], source: Source) -> None:
    client, measuring = Client, Measuring
    put: Callable[[str, object], None] = agent.__dict__.__setitem__
    put(
        "Client",
        lambda config, machine, spool, **options: client(
            config, machine, witness(spool), **options
        ),
    )
    put(
        "Measuring",
        lambda _sampler, spool, **options: measuring(
            source,
            witness(spool),
            **options,
        ),
    )
    backoff.BASE_S, backoff.CAP_S = BASE_S, CAP_S
    stream.WELCOME_S = WELCOME_S


if __name__ == "__main__":
    main()
