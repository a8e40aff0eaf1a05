"""Server time of the pages with many machines, on SQLite and on TimescaleDB.

    python -m bench.pages [embedded|production] [--machines 1000] [--minutes 60]

The database holds the minutes, hot state the last five of them, as when agents
stream. Each page is asked for through the whole Django stack, without a network.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlencode

from bench import kinds
from bench.figures import spread

ROUNDS = 50
# Rows that a screen shows; the page asks for sparklines as it is scrolled.
IN_SIGHT = 30

# What the budgets name; the others are there to be seen.
BUDGETS = {"overview": "<= 100 ms", "machine, charts, 1 h": "<= 15 ms"}


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=kinds.KINDS)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args(arguments)
    if kinds.is_inside():
        inside(options.machines, options.minutes)
        return
    sizes = ["--machines", str(options.machines), "--minutes", str(options.minutes)]
    kinds.each("bench.pages", options.kinds, *sizes)


def inside(machines: int, minutes: float) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "hub.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from bench import seed
    from hub.people.owner import owner

    started = time.perf_counter()
    seed.fill(machines, minutes=minutes)
    warm()
    print(f"  {machines} machines stored in {time.perf_counter() - started:.0f} s")
    asyncio.run(ask(owner()))


def warm() -> None:
    """Bring the last minutes into hot state, where the writer puts them."""
    from hub.storage.hot import get_hot
    from hub.storage.hot_terms import RECENT_MS
    from hub.storage.models import Sample
    from hub.storage.sample import StoredSample

    since_ms = time.time() * 1000 - RECENT_MS
    rows = Sample.objects.filter(time__gte=_moment(since_ms)).order_by("time")
    stored = [
        StoredSample(
            machine=row.machine_id,
            layout=row.layout_id,
            sequence=row.sequence,
            time_ms=(ms := round(row.time.timestamp() * 1000)),
            received_ms=ms + 40,
            values=bytes(row.values),
        )
        for row in rows.iterator()
    ]
    for start in range(0, len(stored), 1000):
        get_hot().put(stored[start : start + 1000])


def _moment(ms: float) -> object:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC)


async def ask(user: object) -> None:
    from django.test import AsyncClient
    from django.urls import reverse

    from hub.machines.models import Machine

    client = AsyncClient()
    await client.aforce_login(user)  # type: ignore[arg-type]
    ids = [machine.machine_id async for machine in Machine.objects.order_by("pk")]
    one, sight = ids[:1], urlencode({"id": ids[:IN_SIGHT]}, doseq=True)
    history = f"/api/machines/{ids[0]}/history"
    for name, path in {
        "overview": reverse("web:overview"),
        "overview, sparklines": f"{reverse('web:sparklines')}?{sight}",
        "machine": reverse("web:machine", args=one),
        "machine, charts, 1 h": reverse("web:charts", args=one),
        "api, machines": "/api/machines",
        "api, history, 1 h": f"{history}?metric=system.cpu.utilization",
    }.items():
        taken: list[float] = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            answer = await client.get(path)
            taken.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, (path, answer.status_code)
        size_kb = len(answer.content) / 1000
        budget = f"  budget: p50 {BUDGETS[name]}" if name in BUDGETS else ""
        print(f"  {name:<22} {spread(taken)} {size_kb:7.1f} kB{budget}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
