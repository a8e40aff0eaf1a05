"""The agent put together: threads that measure, an event loop that sends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable

from sysmonstm_agent import __version__
from sysmonstm_agent.client import LOOPBACK, Client
from sysmonstm_agent.config import Config
from sysmonstm_agent.files import Files
from sysmonstm_agent.log import log
from sysmonstm_agent.machine import machine
from sysmonstm_agent.open_spool import open_spool
from sysmonstm_agent.processes.watch import watch
from sysmonstm_agent.registry import collectors
from sysmonstm_agent.sampler import Sampler
from sysmonstm_agent.spool import Spool

# How long the last acknowledgements may take once the agent is told to end.
LEAVE_S = 1.0
# How long a tick may still take then.
STOP_S = 0.5


def run(config: Config) -> None:
    """Measure and send until SIGTERM or SIGINT. Raises SpoolRefused."""
    spool = open_spool(config)
    try:
        asyncio.run(_run(config, spool))
    finally:
        spool.close()
        log.info("agent.stopped", produced=spool.produced, evicted=spool.evicted)


async def _run(config: Config, spool: Spool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log.info(
        "agent.started",
        version=__version__,
        hub=config.target,
        interval_s=config.interval_s,
    )
    if config.token and not config.tls and not config.target.startswith(LOOPBACK):
        log.warning("token.in_the_clear", hub=config.target)

    files = Files(config.proc_root, config.sys_root)

    def wake() -> None:
        loop.call_soon_threadsafe(client.wake)

    watching = watch(files, config.process_arguments, told=wake)
    client = Client(config, machine(files), spool, witness=watching)
    measuring = Measuring(
        Sampler(collectors(files), seen=watching.feel),
        spool,
        interval_s=config.interval_s,
        appended=wake,
    )
    talking = asyncio.create_task(client.run())
    watching.start()
    measuring.start()
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({talking, stopped}, return_when=asyncio.FIRST_COMPLETED)

    watching.stop()
    measuring.stop()
    if client.leave():
        await asyncio.wait({talking}, timeout=LEAVE_S)
    talking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await talking


class Measuring:
    """A thread that takes a sample every interval.

    It knows neither the network nor the event loop, and so waits for neither. A
    daemon: where the kernel does not come back from a read, the agent still ends.
    """

    def __init__(
        self,
        sampler: Sampler,
        spool: Spool,
        *,
        interval_s: float,
        appended: Callable[[], object],
    ) -> None:
        self._sampler = sampler
        self._spool = spool
        self._interval_s = interval_s
        self._appended = appended
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="measure", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the tick that is being taken, or without it if it is stuck."""
        self._stop.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        start_s = time.monotonic()
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            try:
                self._spool.append(self._sampler.sample())
                self._appended()
            # The one loop that must live: a full disk under the spool passes.
            except Exception:  # noqa: BLE001
                log.exception("sample.failed")
            wait_s = until_next(start_s, time.monotonic(), self._interval_s)


def until_next(start_s: float, now_s: float, interval_s: float) -> float:
    """Return how long it is to the next multiple of the interval since the start.

    Ticks do not drift, however long one took; those that were missed (the machine
    was suspended, or stalled) are left out, not made up for.
    """
    return interval_s - (now_s - start_s) % interval_s
