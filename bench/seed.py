"""Fill a database with believable machines: `python -m bench.seed --machines 30`.

Writes through the raw tier like the hub itself, so that cursors, layouts and
views are as they would be. `fill` is for benches and tests.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bench.fleet import Member

EPOCH = b"bench-seed-epoch"
BATCH = 20_000
SILENCE_MS = 600_000


def fill(
    count: int,
    *,
    minutes: float = 60,
    interval_s: float = 5,
    end_ms: int | None = None,
    gaps: bool = True,
    silent: int = 0,
) -> list[int]:
    """Store `minutes` of samples of `count` machines; return the primary keys.

    With gaps, every seventh machine missed some minutes, as real ones do. The last
    `silent` machines were heard ten minutes before the others.
    """
    from bench.fleet import fleet
    from hub.storage import raw
    from hub.storage.sample import StoredSample

    end_ms = end_ms or time.time_ns() // 1_000_000
    ticks = int(minutes * 60 / interval_s)
    moments = end_ms - np.arange(ticks)[::-1] * int(interval_s * 1000)
    pks: list[int] = []
    batch: list[raw.Incoming] = []
    for number, member in enumerate(fleet(count)):
        if number == count - silent:
            moments = moments - SILENCE_MS
        pk, layout, rows = register(member, moments / 1000, interval_s)
        samples = [
            StoredSample(pk, layout, n, int(ms), int(ms) + 40, row.tobytes())
            for n, (ms, row) in enumerate(zip(moments, rows, strict=True), 1)
        ]
        if gaps and number % 7 == 3 and ticks > 60:
            del samples[ticks // 3 : ticks // 3 + 24]
        batch += [raw.Incoming(sample, EPOCH) for sample in samples]
        pks.append(pk)
        if len(batch) >= BATCH:
            raw.write(batch)
            batch = []
    raw.write(batch)
    return pks


def report() -> None:
    """Say what the agents would say of their spools; one of them had trouble."""
    from hub.storage.models import Backfill, Cursor, MachineReport

    for number, cursor in enumerate(Cursor.objects.order_by("pk")):
        MachineReport.objects.update_or_create(
            machine_id=cursor.machine_id,
            defaults={
                "spool_epoch": cursor.spool_epoch,
                "produced": cursor.sequence + 2,
                "evicted": cursor.skipped,
                "oldest_sequence": cursor.sequence + 1,
                "spool_bytes": 40_960,
                "received": timezone.now(),
                "clock_skew_ms": 40 + 400 * (number % 5),
                "ack_p50_ms": 38.0,
                "ack_p99_ms": 140.0,
            },
        )
        if number % 7 == 0:
            end = cursor.time - timedelta(minutes=12)
            Backfill.objects.create(
                machine_id=cursor.machine_id,
                start=end - timedelta(minutes=6),
                end=end,
                received=end + timedelta(seconds=20),
            )


def register(
    member: Member, times_s: NDArray[np.float64], interval_s: float
) -> tuple[int, int, NDArray[np.float32]]:
    """Make a machine known; return its key, its layout and a row for each moment."""
    from bench.fleet import Life
    from hub.machines.models import Machine
    from hub.machines.registry import Arrival, arrive
    from hub.storage import layouts

    life = Life(member)
    machine, _ = arrive(
        Arrival(
            machine_id=member.machine_id,
            agent_version="0.1.0",
            os=life.hardware.os,
            kernel=life.hardware.kernel,
            architecture=life.hardware.architecture,
            boot_time_ms=0,
            interval_s=interval_s,
        )
    )
    began = datetime.fromtimestamp(float(times_s[0]), UTC)
    Machine.objects.filter(pk=machine.pk, first_seen__gt=began).update(first_seen=began)
    layout = layouts.learn(life.series)
    return machine.pk, layout.id, life.values(times_s)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--interval", type=float, default=5)
    told = parser.parse_args(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    started = time.perf_counter()
    pks = fill(told.machines, minutes=told.minutes, interval_s=told.interval)
    sys.stdout.write(
        f"{len(pks)} machines, {told.minutes:g} min each, "
        f"in {time.perf_counter() - started:.1f} s\n"
    )


if __name__ == "__main__":
    main()
