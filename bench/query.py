"""Server time of long ranges against a filled database: `python -m bench.query`.

    python -m bench.query [embedded|production] [--machines 1000] [--long 5]

Every machine has an hour of samples, a day of minutes and ninety days of hours; the
first `--long` have a week of minutes, which the pages are asked about. Each page is
asked for through the whole Django stack.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from bench import asked, kinds

if TYPE_CHECKING:
    from hub.storage.buckets import Buckets
    from hub.storage.tiers import Tier

ROUNDS = 30
RANGES = ("1h", "6h", "24h", "7d", "30d", "90d")
BUDGETS = {"overview": "<= 100 ms", "charts, 1h": "<= 15 ms"}


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=kinds.KINDS)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--long", type=int, default=5)
    told = parser.parse_args(arguments)
    if kinds.is_inside():
        inside(told.machines, told.long)
        return
    sizes = ["--machines", str(told.machines), "--long", str(told.long)]
    kinds.each("bench.query", told.kinds, *sizes)


def inside(machines: int, long: int) -> None:
    kinds.begin()
    from hub.people.owner import owner
    from hub.storage import chunks
    from hub.storage.expire import is_hypertable
    from hub.storage.tiers import RAW, TIERS

    fill(machines, long)
    asked.warm()
    has_chunks = is_hypertable(RAW)
    if has_chunks:
        say_sizes(TIERS, "fresh")
    # The pages are asked for while it is all fresh, as it mostly is.
    asyncio.run(asked.ask(owner(), paths, rounds=ROUNDS, budgets=BUDGETS))
    if has_chunks:
        for chunk in chunks.chunks(RAW):
            chunks.pack(chunk)
        say_sizes([RAW], "packed")


def fill(count: int, long: int) -> None:
    """Store what a hub would have after ninety days, tier by tier."""
    from bench import seed
    from hub.storage.models import Watermark
    from hub.storage.tiers import HOUR, MINUTE, TIERS, floor

    now = datetime.now(UTC)
    pks = progress("samples, 1 h", lambda: seed.fill(count, minutes=60))
    for name, tier, span, some in (
        ("minutes, 1 d", MINUTE, timedelta(days=1), pks[long:]),
        ("minutes, 7 d", MINUTE, timedelta(days=7), pks[:long]),
        ("hours, 90 d", HOUR, timedelta(days=90), pks),
    ):
        end = floor(now - timedelta(seconds=15), tier.width)
        _write(name, tier, end - span, end, some)
    for tier in TIERS:
        until = floor(now - timedelta(seconds=15), tier.width or MINUTE.width)
        since = floor(now - min(tier.retention, timedelta(hours=1)), MINUTE.width)
        marks = {"until": until, "closing": until}
        Watermark.objects.create(
            tier=tier.name, **(marks if tier.width else {"since": since})
        )


def _write(
    name: str, tier: Tier, start: datetime, end: datetime, pks: Sequence[int]
) -> None:
    from django.db import connection, transaction

    from hub.storage import buckets

    begun = time.perf_counter()
    for n, pk in enumerate(pks, 1):
        with transaction.atomic():
            buckets.write(tier, _history(tier, start, end, pk))
        bar(name, n, len(pks), begun)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {tier.table}")


def _history(tier: Tier, start: datetime, end: datetime, pk: int) -> Iterator[Buckets]:
    """Yield believable buckets of a machine: its last sample, and some noise."""
    from hub.storage.buckets import Buckets
    from hub.storage.fold import Folded
    from hub.storage.rows import newest
    from hub.storage.tiers import to_ms

    sample = newest([pk])[pk]
    now = np.frombuffer(sample.values, "<f4")
    moments = np.arange(to_ms(start), to_ms(end), tier.width_ms, dtype=np.int64)
    noise = np.random.default_rng(pk).normal(1, 0.1, (len(moments), len(now)))
    average = (now * noise).astype(np.float32)
    count = np.full(average.shape, tier.width_ms / 5000, np.float32)
    content = Folded(count, average * 0.5, average, average * 1.5)
    keys = np.full(len(moments), pk, np.int64)
    yield Buckets(sample.layout, keys, moments, content)


def progress(name: str, work: object) -> list[int]:
    begun = time.perf_counter()
    bar(name, 0, 1, begun)
    done: list[int] = work()  # type: ignore[operator]
    bar(name, 1, 1, begun)
    return done


def bar(name: str, done: int, total: int, begun: float) -> None:
    share, took = done / total, time.perf_counter() - begun
    left = f"{took / share - took:4.0f} s left" if share else ""
    line = f"  {name:<14} [{'#' * int(30 * share):<30}] {share:4.0%} {left}"
    if sys.stderr.isatty() or done == total:
        end = "\n" if done == total else "\r"
        print(f"{line}  {took:.0f} s" if done == total else line, end=end, flush=True)


def say_sizes(tiers: Sequence[Tier], state: str) -> None:
    """Say what a row of each tier takes on disk, with its index, per series."""
    from django.db import connection

    for tier in tiers:
        series = "cardinality(avg)" if tier.width else "length(values) / 4"
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT hypertable_size(%s::regclass))::float"
                f" / sum({series}), count(*) FROM {tier.table}",
                [tier.table],
            )
            size, count = cursor.fetchone()
        print(f"  {tier.name:<8} {count:>9,} rows, {size:.2f} bytes a value, {state}")


def paths(ids: Sequence[str]) -> dict[str, str]:
    from django.urls import reverse

    charts = reverse("web:charts", args=ids[:1])
    history = f"/api/machines/{ids[0]}/history?metric=system.cpu.utilization"
    return {
        "overview": reverse("web:overview"),
        **{f"charts, {span}": f"{charts}?range={span}" for span in RANGES},
        "api, one metric, 90 d": f"{history}&from=-90d&points=1000",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
