"""The settings in force: the hub's, as far as the machine's owner lets them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.config import Config
from sysmonstm_agent.log import log
from sysmonstm_agent.processes.snapshots import Arguments
from sysmonstm_agent.settings import Settings, few, read
from sysmonstm_agent.settings_file import SettingsFile
from sysmonstm_agent.variables import INTERVAL, PROCESS_ARGUMENTS

# What is done with settings that differ: those before, and those in force now.
Change = Callable[[Settings, Settings], object]


class Tuning:
    """Belongs to the event loop; `now` may be read in any thread."""

    def __init__(
        self, config: Config, known: Collection[str], file: SettingsFile | None
    ) -> None:
        self._config = config
        self.known = tuple(known)
        self._file = file
        self._changes: list[Change] = []
        self._kept = pb.AgentConfig() if file is None else file.load()
        self.now, _ = self._read(self._kept)

    @property
    def interval_s(self) -> float:
        return self.now.interval_s or self._config.interval_s

    @property
    def arguments(self) -> Arguments:
        return "none" if self.now.hide_arguments else self._config.process_arguments

    def on_change(self, change: Change) -> None:
        self._changes.append(change)

    def take(self, message: pb.AgentConfig) -> list[str]:
        """Apply what the hub wants, and return a sentence for all that is refused."""
        before = self.now
        self.now, refused = self._read(message)
        if replace(before, version=0) != replace(self.now, version=0):
            log.info("settings.changed", version=self.now.version, refused=len(refused))
            for change in self._changes:
                change(before, self.now)
        return refused

    def keep(self, message: pb.AgentConfig) -> None:
        """Have the next start begin with this. Blocks."""
        if self._file is None or message == self._kept:
            return
        try:
            self._file.keep(message)
        except OSError as error:
            log.warning("settings.not_kept", trouble=str(error))
        else:
            self._kept = message

    def _read(self, message: pb.AgentConfig) -> tuple[Settings, list[str]]:
        settings, refused = read(message, self.known)
        settings, more = spare(settings, self._config)
        return settings, few(refused + more)


def spare(settings: Settings, config: Config) -> tuple[Settings, list[str]]:
    """Leave alone what the machine's owner has set by a variable or a flag."""
    refused = []
    if settings.interval_s is not None and INTERVAL.variable in config.chosen:
        if settings.interval_s != config.interval_s:
            refused.append(
                f"The interval stays {config.interval_s:g} s: {INTERVAL.variable} is"
                " set on the machine."
            )
        settings = replace(settings, interval_s=None)
    if settings.hide_arguments and PROCESS_ARGUMENTS.variable in config.chosen:
        if config.process_arguments != "none":
            refused.append(
                f"Command lines stay {config.process_arguments}:"
                f" {PROCESS_ARGUMENTS.variable} is set on the machine."
            )
        settings = replace(settings, hide_arguments=False)
    return settings, refused
