"""One message of one or many alerts, in every form that a contact may want."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from django.template.loader import render_to_string

from hub.alerts import text
from hub.alerts.quantities import duration
from hub.alerts.spec import Kind

# A thousand machines that go down together are still one readable message.
MAX_SHOWN = 20
MAX_NAMED = 3

PLACEHOLDERS = frozenset(
    ("state", "severity", "rule", "machine", "series", "value", "peak", "link")
)

COLOURS = {"over": "#2e7d4f", "warning": "#8f5500", "critical": "#c62828"}

SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Story:
    """One alert as a message tells it. Values in the metric's own unit."""

    alert: int
    # Of models.Notice.What: why it is told now.
    what: str
    over: bool
    severity: str
    machine: str
    rule: str
    kind: str
    unit: str
    attributes: tuple[tuple[str, str], ...]
    value: float | None
    peak: float | None
    opened_at: datetime
    resolved_at: datetime | None
    link: str
    note: str = ""
    runbook: str = ""
    acknowledged_by: str = ""
    # The processes behind it, the worst first.
    culprits: tuple[str, ...] = ()
    # What was crossed; of a forecast, what will be.
    limit: float | None = None

    @property
    def state(self) -> str:
        if self.over:
            return "resolved"
        if self.what == "reminder":
            return f"still {self.severity}"
        if self.what == "escalation":
            return f"not acknowledged, {self.severity}"
        return self.severity

    @property
    def series(self) -> str:
        """Return the attributes by the last part of their names."""
        return ", ".join(
            f"{name.rpartition('.')[2]}={value}" for name, value in self.attributes
        )

    @property
    def shown_value(self) -> str:
        return shown(self.value, self.unit, self.kind)

    @property
    def shown_limit(self) -> str:
        if self.kind == Kind.DOWN:
            return ""
        return shown(self.limit, self.unit, Kind.THRESHOLD)

    @property
    def shown_peak(self) -> str:
        return shown(self.peak, self.unit, self.kind)

    @property
    def lasted(self) -> str:
        if self.resolved_at is None:
            return ""
        return duration(
            max(0, int((self.resolved_at - self.opened_at).total_seconds()))
        )

    @property
    def headline(self) -> str:
        series = f" ({self.series})" if self.series else ""
        value = f": {self.shown_value}" if self.shown_value and not self.over else ""
        if value and self.shown_limit:
            value += f", limit {self.shown_limit}"
        return f"{self.rule} on {self.machine}{series}{value}"

    @property
    def tone(self) -> str:
        return "over" if self.over else self.severity

    @property
    def colour(self) -> str:
        """Return the mail's colour on white; on black the template has others."""
        return COLOURS.get(self.tone, COLOURS["warning"])

    # For the mail's template, which escapes but does not straighten.
    @property
    def safe_state(self) -> str:
        return text.plain(self.state)

    @property
    def safe_headline(self) -> str:
        return text.plain(self.headline, 300)

    @property
    def details(self) -> list[str]:
        return [text.plain(line, 500) for line in _details(self)]

    @property
    def values(self) -> Mapping[str, str]:
        """Return what stands for each placeholder."""
        return {
            "state": self.state,
            "severity": self.severity,
            "rule": self.rule,
            "machine": self.machine,
            "series": self.series,
            "value": self.shown_value,
            "peak": self.shown_peak,
            "link": self.link,
        }

    @property
    def advice(self) -> str:
        """Return the rule's note with its placeholders filled, line by line."""
        lines = self.note.splitlines()[:20]
        return "\n".join(
            text.plain(text.fill(line, self.values), 500) for line in lines
        )


@dataclass(frozen=True, slots=True)
class Message:
    title: str
    text: str
    html: str
    brief_html: str
    markdown: str


def compose(stories: Sequence[Story], *, subject: str = "", hub: str = "") -> Message:
    """Tell the stories; the open and the gravest come first."""
    ranked = sorted(
        stories, key=lambda one: (one.over, one.severity != "critical", one.alert)
    )
    title = _title(ranked, subject)
    told, more = ranked[:MAX_SHOWN], max(0, len(ranked) - MAX_SHOWN)
    context = {"title": title, "stories": told, "more": more, "hub": hub}
    return Message(
        title=title,
        text=_lines(told, more, hub, text.chat, str),
        html=render_to_string("alerts/mail.html", context),
        brief_html=_lines(told, more, hub, text.html, escape).replace("\n", "<br/>\n"),
        markdown=_lines(told, more, hub, text.markdown, str).replace("\n", "  \n"),
    )


def shown(value: float | None, unit: str, kind: str) -> str:
    """Return a measured value as people read it; "" when there is none to show."""
    if value is None or not math.isfinite(value) or kind == Kind.DOWN:
        return ""
    if kind == Kind.FORECAST:
        return f"in {duration(max(60, round(value / 60) * 60))}"
    base, slash, per = unit.partition("/")
    suffix = f"/{per}" if slash else ""
    if base == "1":
        return f"{_three(value * 100)} %{suffix}"
    if base == "By":
        return f"{_size(value)}{suffix}"
    if unit == "s":
        return duration(round(value)) if abs(value) >= 60 else f"{_three(value)} s"
    name = {"Cel": " °C", "": ""}.get(base, "" if base.startswith("{") else f" {base}")
    return f"{_three(value)}{name}{suffix}"


def _three(value: float) -> str:
    return f"{value:.0f}" if 100 <= abs(value) < 1e7 else f"{value:.3g}"


def _size(value: float) -> str:
    step = 0
    while abs(value) >= 1000 and step < len(SIZES) - 1:
        value, step = value / 1024, step + 1
    return f"{_three(value)} {SIZES[step]}"


def _title(ranked: Sequence[Story], subject: str) -> str:
    if len(ranked) == 1:
        [story] = ranked
        if subject:
            return text.plain(text.fill(subject, story.values))
        return text.plain(f"[{story.state}] {story.headline}")
    rules = list(dict.fromkeys(one.rule for one in ranked))
    machines = list(dict.fromkeys(one.machine for one in ranked))
    over = sum(one.over for one in ranked)
    state = "resolved" if over == len(ranked) else ranked[0].severity
    count = f"{len(ranked)} alerts"
    if 0 < over < len(ranked):
        count = f"{len(ranked)} alerts, {over} of them over"
    return text.plain(f"[{state}] {count}: {_named(rules)} on {_named(machines)}")


def _named(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    said = ", ".join(text.plain(name, 40) for name in names[:MAX_NAMED])
    return f"{said} and {more} more" if more > 0 else said


def _lines(
    stories: Sequence[Story],
    more: int,
    hub: str,
    safe: Callable[[object], str],
    address: Callable[[str], str],
) -> str:
    """Return the plain form; `safe` makes other people's words harmless in it."""
    parts = []
    for story in stories:
        parts.append(safe(f"{story.state.upper()}: {story.headline}"))
        parts += [safe(line) for line in _details(story)]
        parts += [safe(line) for line in story.advice.splitlines()]
        parts += [address(line) for line in (story.runbook, story.link) if line]
        parts.append("")
    if more:
        parts += [f"{safe(f'and {more} more:')} {address(hub)}", ""]
    return "\n".join(parts[:-1])


def _details(story: Story) -> list[str]:
    since = f"{story.opened_at:%Y-%m-%d %H:%M:%S} UTC"
    found = [
        f"Over after {story.lasted}; since {since}."
        if story.over
        else f"Since {since}."
    ]
    if story.shown_peak and story.shown_peak != story.shown_value:
        found.append(f"At the worst {story.shown_peak}.")
    if story.culprits:
        found.append(f"Processes: {'; '.join(story.culprits[:3])}")
    if story.acknowledged_by and not story.over:
        found.append(f"Acknowledged by {story.acknowledged_by}.")
    return found


def note(title: str, body: str, *, hub: str) -> Message:
    """Return a message that tells of no alert."""
    context = {"title": title, "body": body, "stories": [], "more": 0, "hub": hub}
    return Message(
        title=title,
        text=f"{text.chat(body)}\n{hub}",
        html=render_to_string("alerts/mail.html", context),
        brief_html=f"{text.html(body)}<br/>\n{escape(hub)}",
        markdown=f"{text.markdown(body)}  \n{hub}",
    )
