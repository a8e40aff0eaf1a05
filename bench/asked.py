"""Pages asked for through the whole Django stack, without a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from bench.figures import spread

# Paths by name, for a fleet of these machine ids.
Paths = Callable[[Sequence[str]], Mapping[str, str]]


def warm() -> None:
    """Bring the last minutes into hot state, where the writer puts them."""
    from hub.storage.hot import get_hot
    from hub.storage.hot_terms import RECENT_MS
    from hub.storage.models import Sample
    from hub.storage.sample import StoredSample

    since = datetime.fromtimestamp(time.time() - RECENT_MS / 1000, UTC)
    rows = Sample.objects.filter(time__gte=since).order_by("time")
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


async def ask(
    user: object, paths: Paths, *, rounds: int, budgets: Mapping[str, str]
) -> None:
    """Print how long each page took, beside the budget of its name."""
    from django.test import AsyncClient

    from hub.machines.models import Machine

    client = AsyncClient()
    await client.aforce_login(user)  # type: ignore[arg-type]
    ids = [machine.machine_id async for machine in Machine.objects.order_by("pk")]
    for name, path in paths(ids).items():
        taken: list[float] = []
        for _ in range(rounds):
            started = time.perf_counter()
            answer = await client.get(path)
            taken.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, (path, answer.status_code)
        size_kb = len(answer.content) / 1000
        budget = f"  budget: p50 {budgets[name]}" if name in budgets else ""
        print(f"  {name:<22} {spread(taken)} {size_kb:7.1f} kB{budget}", flush=True)
