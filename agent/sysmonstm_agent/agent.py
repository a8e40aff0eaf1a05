"""The agent put together: threads that measure, an event loop that sends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

from sysmonstm_agent import __version__
from sysmonstm_agent.client import Client
from sysmonstm_agent.collector import Collector
from sysmonstm_agent.companion import Companions
from sysmonstm_agent.config import Config
from sysmonstm_agent.control import Control
from sysmonstm_agent.files import Files
from sysmonstm_agent.hub_address import is_loopback
from sysmonstm_agent.live_mode import LiveMode
from sysmonstm_agent.log import log
from sysmonstm_agent.machine import machine
from sysmonstm_agent.measuring import Measuring
from sysmonstm_agent.open_spool import folder_of, open_spool
from sysmonstm_agent.processes.watch import watch
from sysmonstm_agent.questions import Questions
from sysmonstm_agent.registry import NAMES, collectors
from sysmonstm_agent.sampler import Sampler
from sysmonstm_agent.settings import DEFAULT, Settings, concerned
from sysmonstm_agent.settings_file import SettingsFile
from sysmonstm_agent.spool import Spool
from sysmonstm_agent.tuning import Tuning
from sysmonstm_agent.watch_config import WatchConfig

# How long the last acknowledgements may take once the agent is told to end.
LEAVE_S = 1.0


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
    agent = Agent(config, spool, loop)
    log.info(
        "agent.started",
        version=__version__,
        hub=config.target,
        interval_s=agent.tuning.interval_s,
    )
    if not config.tls and not is_loopback(config.target):
        log.warning("hub.plaintext", hub=config.target)
    await agent.live_until(stop)


class Agent:
    """Its parts, and how the settings reach them."""

    def __init__(
        self, config: Config, spool: Spool, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop = loop
        self._files = Files(config.proc_root, config.sys_root)
        self._sources = config.sources
        folder = folder_of(config)
        self.tuning = Tuning(
            config, NAMES, SettingsFile(folder.path) if folder else None
        )
        # The settings that the stored samples are measured by.
        self._measured = self.tuning.now
        self._watching = watch(self._files, self.tuning.arguments, told=self._wake)
        self._sampler = Sampler(self._collectors(), seen=self._watching.feel)
        self._live = LiveMode(self._own_sampler, told=self._wake)
        self._client = Client(
            config,
            machine(self._files),
            spool,
            witness=self._watching,
            live=self._live,
            companions=Companions(
                (
                    WatchConfig(config.machine_id, self.tuning),
                    Control(config.machine_id, self._questions(config, spool)),
                )
            ),
        )
        self._measuring = Measuring(
            self._sampler,
            spool,
            interval_s=self.tuning.interval_s,
            appended=self._wake,
        )
        self._tune(DEFAULT, self.tuning.now)
        self.tuning.on_change(self._tune)

    async def live_until(self, stop: asyncio.Event) -> None:
        talking = asyncio.create_task(self._client.run())
        self._watching.start()
        self._measuring.start()
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({talking, stopped}, return_when=asyncio.FIRST_COMPLETED)

        self._watching.stop()
        self._measuring.stop()
        if self._client.leave("stopped"):
            await asyncio.wait({talking}, timeout=LEAVE_S)
        talking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await talking

    def _questions(self, config: Config, spool: Spool) -> Questions:
        return Questions(
            config.machine_id,
            files=self._files,
            tuning=self.tuning,
            spool=spool,
            live=self._live,
            make_sampler=self._own_sampler,
            states=lambda: self._sampler.states,
            started_s=time.monotonic(),
        )

    def _collectors(self) -> list[Collector]:
        return collectors(self._files, self.tuning.now, self._sources)

    def _own_sampler(self) -> Sampler:
        """For what is shown and not stored: rates are from reading to reading."""
        return Sampler(self._collectors())

    def _wake(self) -> None:
        """Called by the threads."""
        self._loop.call_soon_threadsafe(self._client.wake)

    def _tune(self, before: Settings, now: Settings) -> None:
        self._measuring.set_interval(self.tuning.interval_s)
        self._client.set_interval(self.tuning.interval_s)
        ring = (now.ring_off, now.hide_arguments, now.ring_entries)
        if ring != (before.ring_off, before.hide_arguments, before.ring_entries):
            self._watching.change(
                off=now.ring_off,
                arguments=self.tuning.arguments,
                entries=now.ring_entries,
            )
        if before.collectors != now.collectors or concerned(before, now):
            self._measuring.between(self._renew_collectors)
            self._live.renew()

    def _renew_collectors(self) -> None:
        """Runs on the thread that measures, between two samples."""
        now = self.tuning.now
        anew = concerned(self._measured, now)
        self._sampler.change(self._collectors(), anew=anew)
        self._measured = now
