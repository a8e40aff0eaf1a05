"""How the agent itself is."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection, Mapping

from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent import __version__
from sysmonstm_agent.sampler import State
from sysmonstm_agent.spool import Spool
from sysmonstm_agent.tuning import Tuning
from sysmonstm_agent.wire import account_message


def diagnostics(
    spool: Spool, tuning: Tuning, states: Mapping[str, State], *, uptime_s: float
) -> pb.Diagnostics:
    return pb.Diagnostics(
        agent_version=__version__,
        python_version=platform.python_version(),
        uptime_s=uptime_s,
        cpu_s=time.process_time(),
        memory_bytes=memory_bytes(),
        account=account_message(spool),
        config=in_force(tuning),
        collectors=collector_states(tuning.known, states),
    )


def in_force(tuning: Tuning) -> pb.AgentConfig:
    """Return the settings as they are, also those that the hub has not settled."""
    message = tuning.now.message()
    message.interval_ms = round(tuning.interval_s * 1000)
    message.processes.hide_arguments = tuning.arguments == "none"
    return message


def collector_states(
    known: Collection[str], states: Mapping[str, State]
) -> list[pb.CollectorState]:
    # The thread that measures may put one in while this reads.
    now = dict(states)
    return [
        pb.CollectorState(
            name=name,
            on=name in now,
            duration_s=now[name].duration_s if name in now else 0,
            failure=now[name].failure if name in now else "",
        )
        for name in known
    ]


def memory_bytes() -> int:
    """Return what is resident; 0 = not known."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
