"""Server time of the pages with many machines, on SQLite and on TimescaleDB.

    python -m bench.pages [embedded|production] [--machines 1000] [--minutes 60]

The database holds the minutes, hot state the last five of them, as when agents
stream. Each page is asked for through the whole Django stack, without a network.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from urllib.parse import urlencode

from bench import asked, kinds

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
    kinds.begin()
    from bench import seed
    from hub.people.owner import owner

    started = time.perf_counter()
    seed.fill(machines, minutes=minutes)
    asked.warm()
    print(f"  {machines} machines stored in {time.perf_counter() - started:.0f} s")
    asyncio.run(asked.ask(owner(), paths, rounds=ROUNDS, budgets=BUDGETS))


def paths(ids: Sequence[str]) -> dict[str, str]:
    from django.urls import reverse

    one, sight = ids[:1], urlencode({"id": ids[:IN_SIGHT]}, doseq=True)
    history = f"/api/machines/{ids[0]}/history"
    return {
        "overview": reverse("web:overview"),
        "overview, sparklines": f"{reverse('web:sparklines')}?{sight}",
        "machine": reverse("web:machine", args=one),
        "machine, charts, 1 h": reverse("web:charts", args=one),
        "api, machines": "/api/machines",
        "api, history, 1 h": f"{history}?metric=system.cpu.utilization",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
