"""What agents say of their samples, kept for the account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from hub.machines.models import Machine
from hub.storage.database import guard
from hub.storage.models import MachineReport


@dataclass(slots=True)
class Report:
    """One machine's report; see the fields of MachineReport."""

    machine_id: int
    spool_epoch: bytes
    produced: int
    evicted: int
    oldest_sequence: int
    spool_bytes: int
    lost: int
    behind: int
    degraded: str
    received: datetime
    clock_skew_ms: int | None = None
    ack_p50_ms: float | None = None
    ack_p99_ms: float | None = None


_UPDATED = [field.name for field in fields(Report) if field.name != "machine_id"]


def save(reports: Sequence[Report]) -> None:
    """Keep each machine's report in place of its last one. Raises DatabaseDown.

    Two statements for however many; machines that are gone are left out.
    """
    with guard():
        wanted = sorted(reports, key=lambda report: report.machine_id)
        pks = [report.machine_id for report in wanted]
        known = set(Machine.objects.filter(pk__in=pks).values_list("pk", flat=True))
        MachineReport.objects.bulk_create(
            [MachineReport(**asdict(r)) for r in wanted if r.machine_id in known],
            update_conflicts=True,
            unique_fields=["machine"],
            update_fields=_UPDATED,
            batch_size=500,
        )
