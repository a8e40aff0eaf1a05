"""Prometheus' text format, as far as a drop-in folder needs it.

Gauges and counters, and what has no type; histograms and summaries are left out.
Names may have dots, as OpenTelemetry's do. `# UNIT` is as in OpenMetrics, but in
UCUM; `# EXPIRES` (Unix time, of the whole file) is our own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from sysmonstm_proto import limits

from sysmonstm_agent.metric import Metric, Reading

MAX_LINE_BYTES = 4096
# Of what is said about one file.
MAX_TROUBLES = 5

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
LABEL = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_.]*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"\s*(,|$)")
SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:.]*)\s*(?:\{((?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*)\})?"
    r"\s+(\S+)(?:\s+-?\d+(?:\.\d+)?)?"
)
ESCAPED = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
UNIT = re.compile(r"[\x21-\x7e]{1,32}")
# What the agent itself measures goes by these: nobody is to speak in its name.
RESERVED = ("system.", "container.", "systemd.", "hw.", "process.", "sysmonstm.")
# By how Prometheus' names end.
UNITS = {"_seconds": "s", "_bytes": "By", "_ratio": "1", "_celsius": "Cel"}
LEFT_OUT = ("histogram", "gaugehistogram", "summary", "info", "stateset")
# Lines that belong to a histogram or summary.
PARTS = ("_bucket", "_sum", "_count", "_created")

Kind = Literal["gauge", "counter"]


class BadLine(Exception):
    """What is wrong with a line, as the end of a sentence."""


@dataclass(slots=True)
class Parsed:
    readings: list[Reading] = field(default_factory=list)
    # "line 3 has no number", at most MAX_TROUBLES.
    troubles: list[str] = field(default_factory=list)
    expires_s: float = math.inf


@dataclass(slots=True)
class Said:
    """What comment lines said of a metric."""

    kind: str = "untyped"
    unit: str = ""
    help: str = ""


def parse(text: str, *, most: int) -> Parsed:
    """Read at most `most` series. Bad lines are left out, and told of."""
    parsed = Parsed()
    said: dict[str, Said] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            for reading in _line(line.strip(), said, parsed):
                if len(parsed.readings) == most:
                    _tell(parsed, f"line {number} is beyond the {most} series")
                    return parsed
                parsed.readings.append(reading)
        except BadLine as trouble:
            _tell(parsed, f"line {number} {trouble}")
    return parsed


def _tell(parsed: Parsed, trouble: str) -> None:
    if len(parsed.troubles) < MAX_TROUBLES:
        parsed.troubles.append(trouble)


def _line(line: str, said: dict[str, Said], parsed: Parsed) -> Iterator[Reading]:
    if len(line) > MAX_LINE_BYTES:
        raise BadLine(f"is longer than {MAX_LINE_BYTES} characters")
    if line.startswith("#"):
        _comment(line, said, parsed)
    elif line:
        yield from _sample(line, said)


def _comment(line: str, said: dict[str, Said], parsed: Parsed) -> None:
    _, word, name, text = [*line.split(None, 3), "", "", ""][:4]
    if word == "EXPIRES":
        parsed.expires_s = _number(name)
    if word not in ("TYPE", "HELP", "UNIT"):
        return
    metric = said.setdefault(name, Said())
    if word == "TYPE":
        metric.kind = text.lower()
        if metric.kind in LEFT_OUT:
            raise BadLine(f"begins a {metric.kind}, which is not taken")
    elif word == "HELP":
        metric.help = text
    elif UNIT.fullmatch(text):
        metric.unit = text


def _sample(line: str, said: dict[str, Said]) -> Iterator[Reading]:
    match = SAMPLE.fullmatch(line)
    if not match:
        raise BadLine("is no name with a number")
    name, labels, number = match.groups()
    check_name(name)
    if _left_out(name, said):
        return
    yield Reading(_metric(name, said), _number(number), _labels(labels or ""))


def check_name(name: str) -> None:
    """Raises BadLine."""
    if not NAME.fullmatch(name) or len(name) > limits.MAX_TEXT_BYTES:
        raise BadLine("has a name of other than letters, digits, _ . and :")
    if name.startswith(RESERVED):
        raise BadLine(f"has a name that is the agent's own: {name}")


def _left_out(name: str, said: dict[str, Said]) -> bool:
    families = (name, *(name.removesuffix(part) for part in PARTS))
    return any(one in said and said[one].kind in LEFT_OUT for one in families)


def _metric(name: str, said: dict[str, Said]) -> Metric:
    # OpenMetrics says of "x" what the lines of "x_total" mean.
    told = said.get(name) or said.get(name.removesuffix("_total")) or Said()
    kind: Kind = "gauge"
    if told.kind == "counter" or (
        told.kind in ("untyped", "unknown") and name.endswith("_total")
    ):
        kind = "counter"
    base = name.removesuffix("_total")
    unit = next((unit for end, unit in UNITS.items() if base.endswith(end)), "")
    raw = told.help.encode()[: limits.MAX_HELP_BYTES]
    help_ = "".join(c for c in raw.decode("utf-8", "ignore") if c.isprintable())
    return Metric(name, told.unit or unit, help_, kind)


def _number(text: str) -> float:
    try:
        # Not float("1_000") or float("infinity").
        if not re.fullmatch(r"[-+0-9.eE]+|[-+]?Inf|NaN", text):
            raise ValueError
        return float(text)
    except ValueError:
        raise BadLine("has no number") from None


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    place = 0
    while text[place:].strip():
        match = LABEL.match(text, place)
        if not match or match[1] in labels:
            raise BadLine("has a label that makes no sense")
        labels[match[1]] = re.sub(
            r"\\.", lambda escape: ESCAPED.get(escape[0], escape[0]), match[2]
        )
        place = match.end()
    if len(labels) > limits.MAX_ATTRIBUTES:
        raise BadLine(f"has more than {limits.MAX_ATTRIBUTES} labels")
    # In one order, so that a series is the same however it is written.
    return dict(sorted(labels.items()))
