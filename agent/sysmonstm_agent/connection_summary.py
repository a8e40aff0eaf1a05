"""How many sockets there are in which state. No address is kept or told."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from sysmonstm_proto import metrics_pb2 as pb

from sysmonstm_agent.files import Files

PROTOCOLS = ("tcp", "tcp6", "udp", "udp6")
# As include/net/tcp_states.h of the kernel numbers them, from 1 on.
STATES = (
    *("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"),
    *("CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"),
)
# The kernel writes a line for each socket, and makes the reader pay.
CHECK_LINES = 500


class TooMany(Exception):
    """There are more sockets than can be counted in time."""


def summary(
    files: Files, deadline_s: float, *, clock: Callable[[], float] = time.monotonic
) -> pb.ConnectionSummary:
    """Raises TooMany when that moment of the clock has come before it is done."""
    found = pb.ConnectionSummary()
    for protocol in PROTOCOLS:
        counts = _count(f"{files.proc_root}/net/{protocol}", deadline_s, clock)
        for number, count in sorted(counts.items()):
            known = protocol.startswith("tcp")
            state = _name(number) if known else ""
            found.counts.add(protocol=protocol, state=state, count=count)
    return found


def _count(path: str, deadline_s: float, clock: Callable[[], float]) -> Counter[int]:
    """Count the lines by the fourth column, for UDP all as one."""
    counts: Counter[int] = Counter()
    is_tcp = "tcp" in path.rpartition("/")[2]
    try:
        with open(path, "rb") as lines:
            next(lines, b"")
            for position, line in enumerate(lines):
                if position % CHECK_LINES == 0 and clock() > deadline_s:
                    raise TooMany
                columns = line.split(None, 4)
                if len(columns) > 3:
                    counts[int(columns[3], 16) if is_tcp else 0] += 1
    except FileNotFoundError:
        # IPv6 may be off.
        pass
    return counts


def _name(number: int) -> str:
    return STATES[number - 1] if 1 <= number <= len(STATES) else f"{number:02X}"
