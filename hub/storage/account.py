"""What became of every sample that a machine produced.

    produced = stored + evicted + refused + spooled

within the spool that the agent has now. What the hub settled is counted in the
cursor's row, in the transaction of the samples; what the agent knows comes with its
reports. `remainder` is what neither side can explain: 0, or somebody must look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.db.models import Max, Sum

from hub.machines.models import Machine
from hub.storage.database import guard
from hub.storage.models import Backfill, Cursor, MachineReport, PastSpool

Stretch = tuple[datetime, datetime]


class Settled(Protocol):
    """What the hub has settled of a spool; the model Cursor is one."""

    sequence: int
    # Numbers before the first that this hub ever heard of.
    before: int
    stored: int
    refused: int
    # Numbers that never came, though later ones did.
    skipped: int
    duplicates: int
    # When a number was last skipped.
    skipped_at: datetime | None


class Reported(Protocol):
    """What the agent said of the same spool; the model MachineReport is one."""

    produced: int
    evicted: int
    oldest_sequence: int
    spool_bytes: int
    lost: int
    behind: int
    degraded: str
    received: datetime
    clock_skew_ms: int | None
    ack_p50_ms: float | None
    ack_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """A machine's account; counts are within its present spool."""

    produced: int
    stored: int
    # Dropped by the agent because its spool was full.
    evicted: int
    refused: int
    # Still with the agent.
    spooled: int
    # Came again and were absorbed.
    duplicates: int
    # Went with spools that were damaged before this one.
    lost: int
    # Neither side knows; below 0: the agent gave numbers twice.
    remainder: int
    # When the agent last spoke of it; None: never, and the rest is the hub's view.
    reported: datetime | None
    spool_bytes: int | None
    # One sentence while samples are not safe on the agent's disk; "" = well.
    degraded: str
    # The agent's clock minus the hub's.
    clock_skew_ms: int | None
    # From received to acknowledged, of the samples before the last report.
    ack_p50_ms: float | None
    ack_p99_ms: float | None
    # The last samples that came late: when they were taken, [from, to].
    last_backfill: Stretch | None

    @property
    def is_settled(self) -> bool:
        """False: a red mark."""
        return self.remainder == 0


def account(machine: Machine) -> Account | None:
    """Return the machine's account; None before its first sample or report.

    Raises DatabaseDown.
    """
    return accounts([machine]).get(machine.pk)


def accounts(machines: Iterable[Machine]) -> dict[int, Account]:
    """Return the account of each of these machines that has one, by its key.

    Four queries for however many. Raises DatabaseDown.
    """
    pks = [machine.pk for machine in machines]
    with guard():
        # First the reports: what they call acknowledged is in the cursors then.
        reports = MachineReport.objects.in_bulk(pks)
        cursors = Cursor.objects.in_bulk(pks)
        lost = _lost(pks)
        backfills = _last_backfills(pks)
    return {
        pk: balance(
            cursors.get(pk),
            _of_same_spool(reports.get(pk), cursors.get(pk)),
            lost=lost.get(pk, 0),
            last_backfill=backfills.get(pk),
        )
        for pk in pks
        if pk in cursors or pk in reports
    }


def balance(
    settled: Settled | None,
    reported: Reported | None,
    *,
    lost: int = 0,
    last_backfill: Stretch | None = None,
) -> Account:
    """Put both sides together. Pure; either may be older than the other.

    The cursor proves that everything up to it was produced, so an old report can
    only speak of what is above.
    """
    at = settled.sequence if settled else 0
    stored = settled.stored if settled else 0
    refused = settled.refused if settled else 0
    before = settled.before if settled else 0
    produced = max(at, reported.produced) if reported else at
    # From here on the agent has them.
    first_spooled = max(at + 1, _oldest(reported)) if reported else at + 1
    spooled = produced - first_spooled + 1
    missing = (settled.skipped if settled else 0) + first_spooled - 1 - at
    dropped = _dropped(settled, reported, missing)
    evicted = min(missing + before, dropped)
    # Stored in the time of a database or a machine that is no more.
    forgotten = before - max(0, evicted - missing)
    produced -= forgotten
    behind = reported.behind if reported else 0
    return Account(
        produced=produced,
        stored=stored,
        evicted=evicted,
        refused=refused,
        spooled=spooled,
        duplicates=settled.duplicates if settled else 0,
        lost=max(lost, reported.lost) if reported else lost,
        remainder=produced - stored - evicted - refused - spooled - behind,
        reported=reported.received if reported else None,
        spool_bytes=reported.spool_bytes if reported else None,
        degraded=reported.degraded if reported else "",
        clock_skew_ms=reported.clock_skew_ms if reported else None,
        ack_p50_ms=reported.ack_p50_ms if reported else None,
        ack_p99_ms=reported.ack_p99_ms if reported else None,
        last_backfill=last_backfill,
    )


def _oldest(reported: Reported) -> int:
    """Return the first number that the spool still held; empty: the next one."""
    return reported.oldest_sequence or reported.produced + 1


def _dropped(settled: Settled | None, reported: Reported | None, missing: int) -> int:
    """Return how many numbers the agent says it has dropped.

    Some of them may be stored: their ack got lost. A number that was skipped after
    the report is not yet spoken of: the agent has the benefit of the doubt.
    """
    if reported is None:
        return missing
    skipped_at = settled.skipped_at if settled else None
    if skipped_at is not None and skipped_at >= reported.received:
        return missing
    return reported.evicted


def _of_same_spool(
    report: MachineReport | None, cursor: Cursor | None
) -> MachineReport | None:
    """Return the report unless it speaks of a spool before the cursor's."""
    if report is None or cursor is None:
        return report
    if bytes(report.spool_epoch) == bytes(cursor.spool_epoch):
        return report
    return None


def _lost(pks: Collection[int]) -> dict[int, int]:
    rows = PastSpool.objects.filter(machine__in=pks).order_by()
    return dict(rows.values_list("machine").annotate(Sum("lost")))


def _last_backfills(pks: Collection[int]) -> dict[int, Stretch]:
    rows = Backfill.objects.filter(machine__in=pks)
    newest = rows.values("machine").annotate(last=Max("received")).values("last")
    # Two machines may have the same moment: the later row of each is its own.
    found = rows.filter(received__in=newest).order_by("received", "end")
    return {row.machine_id: (row.start, row.end) for row in found}
