"""What an agent answers when it is asked: a closed list, and all of it only reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.files import Files
from sysmonstm_agent.live_mode import LiveMode
from sysmonstm_agent.sampler import Sampler, State
from sysmonstm_agent.spool import Spool
from sysmonstm_agent.tuning import Tuning

if TYPE_CHECKING:
    from sysmonstm_agent.process_list import ProcessList

# Some of the time that is left is for the way back.
SHARE = 0.8


class Refused(Exception):
    """One sentence for people: it will not, or cannot."""


class Questions:
    """Each method takes the command and the seconds that it may take.

    What each needs is imported when it is asked for the first time: an agent that
    nobody asks does without.
    """

    def __init__(
        self,
        machine_id: str,
        *,
        files: Files,
        tuning: Tuning,
        spool: Spool,
        live: LiveMode,
        make_sampler: Callable[[], Sampler],
        states: Callable[[], Mapping[str, State]],
        started_s: float,
    ) -> None:
        """`states` tells how the collectors of the stored samples do."""
        self._machine_id = machine_id
        self._files, self._tuning, self._spool = files, tuning, spool
        self._live = live
        self._make_sampler, self._states = make_sampler, states
        self._started_s = started_s
        self._processes: ProcessList | None = None

    # -- at once

    def ping(self, command: pb.ControlCommand, left_s: float) -> pb.ControlAnswer:
        return pb.ControlAnswer(pong=pb.Pong(clock_unix_ms=int(time.time() * 1000)))

    def live_mode(self, command: pb.ControlCommand, left_s: float) -> pb.ControlAnswer:
        asked = command.live_mode
        interval_s, lease_s = self._live.lease(
            asked.interval_ms / 1000, asked.lease_ms / 1000
        )
        granted = pb.LiveModeSet(
            interval_ms=round(interval_s * 1000), lease_ms=round(lease_s * 1000)
        )
        return pb.ControlAnswer(live_mode=granted)

    def diagnose(self, command: pb.ControlCommand, left_s: float) -> pb.ControlAnswer:
        from sysmonstm_agent.diagnostics import diagnostics

        uptime_s = time.monotonic() - self._started_s
        found = diagnostics(
            self._spool, self._tuning, self._states(), uptime_s=uptime_s
        )
        return pb.ControlAnswer(diagnostics=found)

    # -- on a thread, one at a time

    def collect_now(
        self, command: pb.ControlCommand, left_s: float
    ) -> pb.ControlAnswer:
        from sysmonstm_agent.collect_now import APART_S, collect

        apart_s = min(APART_S, left_s * SHARE / 2)
        state = collect(self._machine_id, self._make_sampler(), apart_s=apart_s)
        return pb.ControlAnswer(collected=state)

    def list_processes(
        self, command: pb.ControlCommand, left_s: float
    ) -> pb.ControlAnswer:
        if self._processes is None:
            from sysmonstm_agent.process_list import ProcessList

            self._processes = ProcessList(self._files)
        limit = command.list_processes.limit
        found = self._processes.answer(limit, self._tuning.arguments)
        return pb.ControlAnswer(processes=found)

    def summarise_connections(
        self, command: pb.ControlCommand, left_s: float
    ) -> pb.ControlAnswer:
        from sysmonstm_agent.connection_summary import TooMany, summary

        if not self._files.linux:
            raise Refused("Connections are counted on Linux only.")
        try:
            found = summary(self._files, time.monotonic() + left_s * SHARE)
        except TooMany:
            raise Refused("There are too many connections to count in time.") from None
        return pb.ControlAnswer(connections=found)

    # --

    def forget(self) -> None:
        """Nobody has asked for a while: keep nothing for the next time."""
        self._processes = None

    def end(self) -> None:
        """Nobody can ask any more."""
        self.forget()
        self._live.lease(0, 0)
