"""How long a back-test takes: 100 machines, seven days in the tiers.

    python -m bench.backtests [embedded|production] [--machines 100]

The tiers are filled as by `bench.query`: a week of minutes, an hour of samples. One
rule never fires, so the hours alone are read; one fires here and there; one is
beyond its threshold nearly always, which is the most there is to read. A forecast
of every file system, and the silence of every machine, are tried as well.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from bench import kinds

ROUNDS = 3
# Of the CPU.
THRESHOLDS = {"never": 2.0, "here and there": 0.9, "nearly always": 0.01}


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=kinds.KINDS)
    parser.add_argument("--machines", type=int, default=100)
    told = parser.parse_args(arguments)
    if kinds.is_inside():
        inside(told.machines)
        return
    sizes = ["--machines", str(told.machines)]
    kinds.each("bench.backtests", told.kinds, *sizes)


def inside(count: int) -> None:
    kinds.begin()
    from django.utils import timezone

    from bench import query
    from hub.alerts.answer import sentence
    from hub.alerts.backtest import back_test
    from hub.alerts.matchers import parse
    from hub.alerts.spec import Kind, Operator, Spec
    from hub.machines.models import Machine

    query.fill(count, count)
    machines = list(Machine.objects.all())
    specs = {
        name: Spec(
            rule=1,
            kind=Kind.THRESHOLD,
            metric="system.cpu.utilization",
            warning=threshold,
            matchers=parse("{}"),
            for_s=300,
            clear_for_s=60,
        )
        for name, threshold in THRESHOLDS.items()
    }
    specs["full within a day"] = Spec(
        rule=1,
        kind=Kind.FORECAST,
        metric="system.filesystem.utilization",
        operator=Operator.GTE,
        warning=1.0,
        for_s=1800,
        horizon_s=86_400,
    )
    specs["down"] = Spec(
        rule=1, kind=Kind.DOWN, metric="", operator=Operator.GTE, critical=12
    )
    for name, spec in specs.items():
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = back_test(spec, machines, timezone.now())
            took.append(time.perf_counter() - began)
        print(f"  {name}: {min(took) * 1000:.0f} ms. {sentence(found)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
