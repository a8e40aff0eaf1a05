"""What watching the rules costs: 1,000 machines, 60 series or more, 50 rules, 5 s.

    python -m bench.alerts [embedded|production] [--machines 1000] [--rules 50]

The engine is given what the bus would bring, batch by batch with the clock of the
samples, and does all that it does in life: windows, states, positions, leases, and
the alerts of an incident that begins on every tenth machine and ends again. It is
the CPU of this process for each second of samples; 1.0 would be a whole core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from bench import kinds

INTERVAL_S = 5
# What ingest gathers in a transaction and tells as one event.
BATCHES = 150
WARM_TICKS = 61
TICKS = 36

SHAPES = (
    ("system.cpu.utilization", "last", 0),
    ("system.cpu.utilization", "avg", 300),
    ("system.memory.utilization", "last", 0),
    ("system.filesystem.utilization", "last", 0),
    ("system.filesystem.utilization", "max", 300),
    ("system.network.io", "avg", 120),
    ("system.disk.utilization", "avg", 300),
    ("system.pressure.some", "last", 0),
    ("system.cpu.load_average.5m", "last", 0),
    ("system.temperature", "last", 0),
)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=kinds.KINDS)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=50)
    options = parser.parse_args(arguments)
    if kinds.is_inside():
        inside(options.machines, options.rules)
        return
    sizes = ["--machines", str(options.machines), "--rules", str(options.rules)]
    kinds.each("bench.alerts", options.kinds, *sizes)


def inside(machines: int, rules: int) -> None:
    kinds.begin()
    from bench.fleet import fleet
    from bench.seed import register
    from hub.alerts.engine import Engine, Turn
    from hub.alerts.models import Alert
    from hub.storage import layouts
    from hub.storage.sample import StoredSample, pack, unpack

    make_rules(rules)
    start_ms = time.time_ns() // 1_000_000
    count = WARM_TICKS + TICKS
    moments = start_ms + np.arange(count) * INTERVAL_S * 1000
    fleet_rows = [register(one, moments / 1000, INTERVAL_S) for one in fleet(machines)]
    series = [len(layouts.get(layout).series) for _, layout, _ in fleet_rows]
    incident(fleet_rows)
    now_ms = start_ms
    engine = Engine(clock=lambda: now_ms)
    cpu_s = wall_s = 0.0
    parts = np.array_split(np.arange(machines), min(BATCHES, machines))
    for tick in range(count):
        began = time.process_time(), time.perf_counter()
        for number, part in enumerate(parts):
            # Spread over the interval, as agents are.
            now_ms = int(moments[tick]) + number * INTERVAL_S * 1000 // len(parts)
            event = pack(
                [
                    StoredSample(
                        pk, layout, tick + 1, now_ms - 40, now_ms, rows[tick].tobytes()
                    )
                    for pk, layout, rows in (fleet_rows[place] for place in part)
                ]
            )
            # Making the event is not ours to count.
            engine.turn(Turn(unpack(event)))
        if tick == WARM_TICKS:
            cpu_s = wall_s = 0.0
        cpu_s += time.process_time() - began[0]
        wall_s += time.perf_counter() - began[1]
    seconds = TICKS * INTERVAL_S
    pairs = sum(len(one.plan.pairs) for one in engine.machines.values() if one.plan)
    print(
        f"  {machines} machines x {np.mean(series):.0f} series, {rules} rules,"
        f" {pairs} pairs of a rule and a series, every {INTERVAL_S} s:"
        f" {cpu_s / seconds:.3f} of a core (wall {wall_s / seconds:.3f});"
        f" {Alert.objects.count()} alerts, {engine.judged} samples judged",
        flush=True,
    )


def make_rules(count: int) -> None:
    from hub.alerts.models import Rule

    Rule.objects.all().delete()
    Rule.objects.create(name="down", kind="down", operator="gte", critical=12)
    for number in range(count - 1):
        metric, aggregation, window_s = SHAPES[number % len(SHAPES)]
        # High enough to be quiet but for the first, which the incident is for.
        warning = 0.95 if number == 0 else 1e12
        Rule.objects.create(
            name=f"rule {number}",
            metric=metric,
            aggregation=aggregation,
            window_s=window_s,
            warning=warning,
            critical=2 * warning,
            for_s=10,
            clear_for_s=10,
            matchers=[{"name": "", "op": "=", "glob": ""}] if number == 0 else [],
        )


def incident(
    rows: list[tuple[int, int, np.ndarray[tuple[int, int], np.dtype[np.float32]]]],
) -> None:
    """Let the CPU of every tenth machine be busy for a minute of what is measured."""
    from hub.storage import layouts

    for number, (_, layout, values) in enumerate(rows):
        place = layouts.get(layout).index("system.cpu.utilization")
        if place is None:
            continue
        values[:, place] = np.minimum(values[:, place], 0.9)
        if number % 10 == 0:
            values[WARM_TICKS + 6 : WARM_TICKS + 18, place] = 0.99


if __name__ == "__main__":
    main(sys.argv[1:])
