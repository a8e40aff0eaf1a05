"""What a machine's charts mark beside their lines.

Stretches whose samples came late; gaps, and why they are there; where an alert was
open; the thresholds of the rules that are about the machine.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q

from hub.alerts import matchers
from hub.alerts.models import Alert, Rule
from hub.alerts.spec import Aggregation, Kind
from hub.machines.models import Machine
from hub.storage.backfill import backfills, gaps
from hub.storage.window import Window
from hub.web.charts import CHARTS, Chart

# Metrics that no chart draws, but whose quantity one shows: its threshold is a share
# of the top of that chart.
SHARES = {
    "system.memory.utilization": "memory",
    "system.paging.utilization": "swap",
}
ALSO = {"system.pressure.full": "pressure"}
# The value of a rule with one of these is a value of the metric.
DRAWN = (Aggregation.LAST, Aggregation.AVG, Aggregation.MIN, Aggregation.MAX)
MOST = 200


def of(machine: Machine, window: Window) -> dict[str, Any]:
    """Return the marks of a span, as the head of the points carries them."""
    return {
        "stretches": stretches(machine, window),
        "alerts": alerts(machine, window.start, window.end),
        "thresholds": thresholds(machine, window),
    }


def stretches(machine: Machine, window: Window) -> list[dict[str, Any]]:
    """Return [{kind, from, to}] in Unix milliseconds, ascending by kind."""
    start, end = window.start, window.end
    late = [("late", one.start, one.end) for one in backfills(machine, start, end)]
    silent = gaps(machine, start, end, window.moments)
    missing = [(gap.why, gap.start, gap.end) for gap in silent]
    return [
        {"kind": kind, "from": _ms(first), "to": _ms(last)}
        for kind, first, last in late + missing
    ]


def alerts(
    machine: Machine, start: datetime, end: datetime
) -> dict[str, list[dict[str, Any]]]:
    """Return by chart {id, rule, severity, from, to}; to = null: still open."""
    found: dict[str, list[dict[str, Any]]] = {}
    in_span = Alert.objects.filter(
        Q(resolved_at=None) | Q(resolved_at__gte=start),
        machine=machine,
        opened_at__lt=end,
    ).defer("samples")
    for alert in in_span.order_by("-opened_at")[:MOST]:
        for chart in _charts(alert.metric, alert.attributes):
            found.setdefault(chart, []).append(
                {
                    "id": alert.pk,
                    "rule": alert.rule_name,
                    "severity": alert.peak_severity,
                    "from": _ms(alert.opened_at),
                    "to": alert.resolved_at and _ms(alert.resolved_at),
                }
            )
    return found


def thresholds(machine: Machine, window: Window) -> dict[str, list[dict[str, Any]]]:
    """Return by chart {severity, value, of}: `of` says of what the value is a part."""
    found: dict[str, list[dict[str, Any]]] = {}
    for rule in _rules(machine):
        levels = {"warning": rule.warning, "critical": rule.critical}
        for chart in _fitting(rule, window):
            for severity, value in levels.items():
                line = {"severity": severity, "value": value, "of": _of(rule)}
                if value is not None and line not in found.setdefault(chart, []):
                    found[chart].append(line)
    return found


def _rules(machine: Machine) -> list[Rule]:
    rules = list(
        Rule.objects.filter(
            enabled=True,
            kind=Kind.THRESHOLD.value,
            aggregation__in=[each.value for each in DRAWN],
        )
        .order_by("pk")
        .only("metric", "matchers", "per", "scope", "warning", "critical")
    )
    # Most are about every machine; only for the others it has to be asked.
    chosen = [rule.pk for rule in rules if rule.scope != "all"]
    if not chosen:
        return rules
    is_about = set(
        Rule.objects.filter(
            Q(scope="machines", machines=machine)
            | Q(scope="tags", tags__machines=machine),
            pk__in=chosen,
        ).values_list("pk", flat=True)
    )
    return [rule for rule in rules if rule.scope == "all" or rule.pk in is_about]


def _fitting(rule: Rule, window: Window) -> set[str]:
    """Return the charts that show a series which the rule is about."""
    said = matchers.from_rows(rule.matchers)
    if rule.metric in SHARES:
        return {SHARES[rule.metric]} if matchers.accept(said, ()) else set()
    return {
        chart
        for series in window.series
        if series.info.metric == rule.metric
        and matchers.accept(said, series.info.attributes)
        for chart in _charts(rule.metric, dict(series.info.attributes))
    }


def _of(rule: Rule) -> str:
    if rule.metric in SHARES:
        return "ceiling"
    # Load per core: the chart of the load marks the cores.
    return "mark" if rule.per else ""


def _charts(metric: str, attributes: dict[str, str]) -> set[str]:
    if not metric:
        # Of a machine that is silent; the strip below each chart says so.
        return set()
    if metric in SHARES or metric in ALSO:
        return {SHARES.get(metric) or ALSO[metric]}
    fitting = [chart for chart in CHARTS if _draws(chart, metric)]
    exact = {chart.id for chart in fitting if chart.vary in attributes}
    # The sum of all modes is the top of the stack; a single core has its own chart.
    bare = {chart.id for chart in fitting if chart.shape == "stack" or chart.metrics}
    return exact or bare


def _draws(chart: Chart, metric: str) -> bool:
    return chart.metric == metric or metric in dict(chart.metrics)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
