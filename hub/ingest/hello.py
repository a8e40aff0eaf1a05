"""Hello: who an agent says it is, checked."""

from __future__ import annotations

from sysmonstm_proto import limits
from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest import text
from hub.machines.registry import Arrival

DEFAULT_INTERVAL_S = 5.0
LONGEST_INTERVAL_S = 24 * 3600.0

DAY_MS = 24 * 3600 * 1000


class BadHello(ValueError):
    """A Hello that breaks the contract (permanent)."""


def arrival(hello: pb.Hello, machine_id: str, *, now_ms: int) -> Arrival:
    """Return what is kept of a Hello; raises BadHello with a sentence.

    Only what identifies must be right; the rest is for people and made to fit.
    """
    if len(hello.spool_epoch) != limits.SPOOL_EPOCH_BYTES:
        raise BadHello(f"The spool_epoch has {limits.SPOOL_EPOCH_BYTES} bytes.")
    try:
        checked = text.machine_id(machine_id)
    except text.BadText as bad:
        raise BadHello(str(bad)) from bad
    booted = hello.boot_time_unix_ms
    return Arrival(
        machine_id=checked,
        agent_version=text.plain(hello.agent_version),
        os=text.plain(hello.os),
        kernel=text.plain(hello.kernel),
        architecture=text.plain(hello.architecture),
        boot_time_ms=booted if 0 < booted < now_ms + DAY_MS else 0,
        interval_s=_interval_s(hello.interval_ms),
    )


def _interval_s(ms: int) -> float:
    if not ms:
        return DEFAULT_INTERVAL_S
    return min(max(ms / 1000, 0.1), LONGEST_INTERVAL_S)
