"""How long a back-test takes: 100 machines, seven days in the tiers.

    python -m bench.backtests [embedded|production] [--machines 100] [--noise]

The tiers hold a week of believable minutes, and hours made of them: busy days, calm
nights, bursts of seconds that take a CPU to its limit in every other hour, disks
that fill, logs that are rotated, backups. With `--noise` every value of every minute
is drawn by chance around one that stays: no hour tells anything of its minutes then,
which is the most there can be to read.

For each kind of rule: the CPU of this process and of its PostgreSQL backend, the
time by the clock, and what the page would say.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import kinds
from bench.meter import cpu_s

if TYPE_CHECKING:
    from bench.fleet import Member
    from hub.alerts.spec import Spec
    from hub.storage.buckets import Buckets

ROUNDS = 3
DAYS = 14
# Of the minutes: a forecast of a week ago looks six hours back.
KEPT_S = 7.3 * 86_400
CPU, DISK = "system.cpu.utilization", "system.filesystem.utilization"

Floats = NDArray[np.float64]


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=kinds.KINDS)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--noise", action="store_true")
    told = parser.parse_args(arguments)
    if kinds.is_inside():
        inside(told.machines, noise=told.noise)
        return
    sizes = ["--machines", str(told.machines), *(["--noise"] if told.noise else [])]
    kinds.each("bench.backtests", told.kinds, *sizes)


def inside(count: int, *, noise: bool) -> None:
    kinds.begin()
    from bench import query

    if noise:
        query.fill(count, count)
    else:
        fill(count)
    report()


def report() -> None:
    from django.utils import timezone

    from hub.alerts.answer import sentence
    from hub.alerts.backtest import back_test
    from hub.machines.models import Machine

    machines = list(Machine.objects.all())
    backend = _backend()
    for name, spec in rules().items():
        best = (np.inf, np.inf, np.inf)
        for _ in range(ROUNDS):
            before = time.process_time(), backend(), time.perf_counter()
            found = back_test(spec, machines, timezone.now())
            after = time.process_time(), backend(), time.perf_counter()
            ours, theirs, wall = (b - a for a, b in zip(before, after, strict=True))
            best = min(best, (ours + theirs, theirs, wall))
        cpu, theirs, wall = best
        print(
            f"  {name:<22} {cpu:.2f} s of CPU (the database {theirs:.2f}),"
            f" {wall:.2f} s by the clock. {sentence(found)}",
            flush=True,
        )


def rules() -> dict[str, Spec]:
    from hub.alerts.matchers import parse
    from hub.alerts.spec import Aggregation, Kind, NoData, Operator, Spec

    def busy(**said: Any) -> Spec:
        told: dict[str, Any] = {"for_s": 300, "clear_for_s": 60} | said
        kind = told.pop("kind", Kind.THRESHOLD)
        return Spec(rule=1, kind=kind, metric=CPU, matchers=parse("{}"), **told)

    full: dict[str, Any] = {"rule": 1, "metric": DISK, "operator": Operator.GTE}
    return {
        "never": busy(warning=2.0),
        "CPU > 90 %": busy(warning=0.9),
        "CPU > 90 %, at once": busy(warning=0.9, for_s=0, clear_for_s=0),
        "CPU > 20 and 60 %": busy(warning=0.2, critical=0.6, clear=0.1),
        "CPU > 1 %": busy(warning=0.01),
        "CPU 5 min avg > 60 %": busy(
            warning=0.6, aggregation=Aggregation.AVG, window_s=300
        ),
        "without data": busy(warning=0.9, no_data=NoData.FIRE),
        "load per core": Spec(
            rule=1,
            kind=Kind.THRESHOLD,
            metric="system.cpu.load_average.5m",
            per="system.cpu.logical.count",
            warning=0.8,
            for_s=300,
        ),
        "CPU + 30 % in 10 min": busy(
            kind=Kind.CHANGE,
            warning=0.3,
            aggregation=Aggregation.CHANGE,
            window_s=600,
        ),
        "any disk > 80 and 90 %": Spec(
            **full, kind=Kind.THRESHOLD, warning=0.8, critical=0.9, clear=0.75
        ),
        "any disk full in 24 h": Spec(
            **full, kind=Kind.FORECAST, warning=1.0, for_s=1800, horizon_s=86_400
        ),
        "machine is down": Spec(
            rule=1, kind=Kind.DOWN, metric="", operator=Operator.GTE, critical=12
        ),
    }


# -- a believable fortnight


def fill(count: int) -> None:
    """Store two weeks of hours, and minutes of the last, as a hub would have."""
    from django.db import connection, transaction

    from bench import seed
    from bench.fleet import fleet
    from bench.query import bar
    from hub.storage import buckets
    from hub.storage.models import Watermark
    from hub.storage.tiers import HOUR, MINUTE, RAW, floor

    now = datetime.now(UTC)
    pks = seed.fill(count, minutes=5)
    end = floor(now - timedelta(seconds=15), MINUTE.width)
    hour = floor(end, HOUR.width)
    begun = time.perf_counter()
    for n, (pk, member) in enumerate(zip(pks, fleet(count), strict=True), 1):
        with transaction.atomic():
            for minutes in history(pk, member, end, n):
                kept = minutes.time_ms >= (end.timestamp() - KEPT_S) * 1000
                buckets.write(MINUTE, [minutes.take(kept)])
                whole = minutes.take(minutes.time_ms < hour.timestamp() * 1000)
                buckets.write(HOUR, [buckets.fold_buckets(whole, HOUR.width_ms)])
        bar("tiers, 14 d", n, len(pks), begun)
    for tier, until in ((MINUTE, end), (HOUR, hour)):
        Watermark.objects.create(tier=tier.name, until=until, closing=until)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"ANALYZE {tier.table}")
    Watermark.objects.create(tier=RAW.name, since=end - timedelta(minutes=5))


def history(pk: int, member: Member, end: datetime, number: int) -> Iterator[Buckets]:
    """Yield a machine's minutes; every seventh was away for some of them."""
    from bench.fleet import Life
    from hub.storage.buckets import Buckets
    from hub.storage.fold import Folded
    from hub.storage.rows import newest

    life = Life(member)
    layout = newest([pk])[pk].layout
    end_ms = round(end.timestamp() * 1000)
    moments = end_ms - np.arange(DAYS * 1440, 0, -1) * 60_000
    if number % 7 == 3:
        moments = np.delete(moments, slice(12_000, 12_000 + 40 * number))
    chance = np.random.default_rng(number)
    average = life.values(moments / 1000)
    low, high = average * 0.8, average * 1.3
    for place, info in enumerate(life.series):
        if info.metric == CPU:
            # By day three times as busy; now and then a few seconds at the limit.
            day = 1 + 2 * np.clip(np.sin(moments / 86_400_000 * 2 * np.pi), 0, 1)
            average[:, place] = np.clip(average[:, place] * day / 2, 0, 0.99)
            low[:, place] = average[:, place] * 0.7
            spiky = chance.random(len(moments)) < 1 / 90
            high[:, place] = np.where(spiky, 1.0, average[:, place] * 1.1)
        elif info.metric == DISK:
            use = disk((moments - moments[0]) / 86_400_000, member.full, number + place)
            low[:, place] = average[:, place] = high[:, place] = use
    count = np.full(average.shape, 12, np.float32)
    content = Folded(count, low, average, high)
    yield Buckets(layout, np.full(len(moments), pk, np.int64), moments, content)


def disk(days: Floats, full: float, number: int) -> Floats:
    """Return how full a disk is: most hardly move, some do."""
    use = full + 0.002 * days
    match number % 10:
        case 0:
            # Filled for four days, and emptied when it was nearly full.
            use = use + (1 - full) * 0.24 * (days % 4)
        case 1:
            # Logs, rotated each night.
            use = use + 0.04 * (days % 1)
        case 2:
            # A backup that is moved away in the morning.
            use = use + 0.1 * np.clip((days % 1) * 12, 0, 1) * (days % 1 < 0.3)
        case 3:
            use = use + 0.01 * np.floor(days)
    return np.clip(use, 0, 1)


def _backend() -> Any:
    """Return what tells the CPU of our connection's process; SQLite has none."""
    from hub.storage.bulk import fetch, is_postgres

    if not is_postgres():
        return lambda: 0.0
    [(pid,)] = fetch("SELECT pg_backend_pid()")
    return lambda: cpu_s(pid)


if __name__ == "__main__":
    main(sys.argv[1:])
