"""A machine's charts in words for the browser: lines, colours, axes.

`static/js/chart.js` and its neighbours draw what is described here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.storage.layouts import SeriesInfo
from hub.storage.window import WindowSeries
from hub.web.charts import CHARTS, DIRECTIONS, Chart

# The palette has eight colours; a ninth line could not be told apart.
LINES = 8


def describe(
    found: Sequence[WindowSeries],
) -> tuple[list[dict[str, Any]], list[WindowSeries]]:
    """Return the charts there are numbers for, and the series they name by place."""
    used: dict[int, int] = {}
    described = []

    def name(series: WindowSeries) -> int:
        return used.setdefault(id(series), len(used))

    for chart in CHARTS:
        lines = [
            line | {"series": name(series)} for line, series in _lines(chart, found)
        ]
        if not lines:
            continue
        marks = [s for s in found if s.info.metric == chart.mark[0] and chart.mark[0]]
        ceiling = [
            name(s)
            for metric, told in chart.ceiling
            for s in _fitting(found, metric, told)
        ]
        hidden = _count(chart, found) - len({line["label"] for line in lines})
        described.append(
            {
                "id": chart.id,
                "title": chart.title,
                "unit": _unit(chart, found),
                "shape": chart.shape if len(lines) > LINES else _plain(chart.shape),
                "top": chart.top,
                "ceiling": ceiling,
                "mark": {
                    "series": name(marks[0]),
                    "label": chart.mark[1],
                    "unit": marks[0].info.unit,
                }
                if marks
                else None,
                "left_out": max(0, hidden),
                "lines": lines,
            }
        )
    by_id = {id(series): series for series in found}
    return described, [by_id[key] for key in used]


def _lines(
    chart: Chart, found: Sequence[WindowSeries]
) -> list[tuple[dict[str, Any], WindowSeries]]:
    """Return a chart's lines in the order of their colours."""
    if chart.metrics:
        return [
            ({"label": label}, series)
            for metric, label in chart.metrics
            for series in _fitting(found, metric, {})
        ]
    fitting = [s for s in _fitting(found, chart.metric, {}) if _varies(chart, s.info)]
    if chart.values:
        by_value = {_varies(chart, series.info): series for series in fitting}
        return [
            ({"label": label}, by_value[value])
            for value, label in chart.values.items()
            if value in by_value
        ]
    names = _chosen(chart, fitting)
    lines = []
    for series in fitting:
        value = _varies(chart, series.info)
        if value not in names:
            continue
        line: dict[str, Any] = {"label": value, "colour": names.index(value)}
        if chart.shape == "mirror":
            way = dict(series.info.attributes).get(chart.direction[0], "")
            line["label"] = f"{value} {DIRECTIONS.get(way, way)}"
            line["down"] = way == chart.direction[2]
        lines.append((line, series))
    return lines


def _chosen(chart: Chart, fitting: Sequence[WindowSeries]) -> list[str]:
    """Return the names that get a line: all, or when there are many the largest."""
    names = list(dict.fromkeys(_varies(chart, series.info) for series in fitting))
    if chart.shape == "spread" or len(names) <= LINES:
        return names
    largest: dict[str, float] = dict.fromkeys(names, 0.0)
    for series in fitting:
        value = _varies(chart, series.info)
        top = float(series.max.max()) if len(series.max) else 0.0
        largest[value] = max(largest[value], top)
    kept = sorted(names, key=lambda name: -largest[name])[:LINES]
    return [name for name in names if name in kept]


def _count(chart: Chart, found: Sequence[WindowSeries]) -> int:
    if chart.values or chart.metrics:
        return 0
    return len(
        {
            (told, dict(series.info.attributes).get(chart.direction[0]))
            for series in _fitting(found, chart.metric, {})
            if (told := _varies(chart, series.info))
        }
    )


def _fitting(
    found: Sequence[WindowSeries], metric: str, told: Mapping[str, str]
) -> list[WindowSeries]:
    return [
        series
        for series in found
        if series.info.metric == metric
        and told.items() <= dict(series.info.attributes).items()
    ]


def _varies(chart: Chart, info: SeriesInfo) -> str:
    return dict(info.attributes).get(chart.vary, "")


def _unit(chart: Chart, found: Sequence[WindowSeries]) -> str:
    metric = chart.metric or chart.metrics[0][0]
    return chart.unit or next(s.info.unit for s in found if s.info.metric == metric)


def _plain(shape: str) -> str:
    return "lines" if shape == "spread" else shape
