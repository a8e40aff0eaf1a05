"""Alerts and rules as the API takes and tells them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ninja import Field, Schema
from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic import Field as Bound

from hub.api.schemas import Answer

Value = Annotated[
    float | None,
    Field(
        description="In the rule's unit; of a forecast, seconds until the limit; of a "
        "machine that is down, intervals of silence."
    ),
]


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("It must not contain NUL")
    return text


Text = Annotated[str, AfterValidator(_no_nul)]


class AlertQuery(Schema):
    state: Literal["", "firing", "resolved"] = Field("", description="Empty: both.")
    severity: Literal["", "warning", "critical"] = Field(
        "", description="Of a resolved alert: the worst that it was."
    )
    machine: Text = Field("", max_length=128, description="A machine_id.")
    rule: int | None = Field(None, ge=1, lt=2**63, description="A rule's id.")
    q: Text = Field(
        "",
        max_length=200,
        description="Every word must stand in the machine's name, the rule's, the "
        "metric, the attributes or the note.",
    )
    after: Text = Field(
        "", max_length=64, description="`after` of the answer before: the next page."
    )
    limit: int = Field(50, ge=1, le=200)


class Alert(Answer):
    id: int = Field(examples=[12])
    state: str = Field(description="firing or resolved.", examples=["firing"])
    severity: str = Field(description="warning or critical.", examples=["critical"])
    peak_severity: str = Field(examples=["critical"])
    rule: int | None = Field(description="null: the rule was deleted since.")
    rule_name: str = Field(examples=["File system is nearly full"])
    machine: str | None = Field(
        description="The machine_id; null: the machine was removed since.",
        examples=["web-1"],
    )
    machine_title: str = Field(examples=["Web server"])
    metric: str = Field(examples=["system.filesystem.utilization"])
    attributes: dict[str, str] = Field(
        examples=[{"system.filesystem.mountpoint": "/data"}]
    )
    unit: str = Field(examples=["1"])
    opened_at: datetime
    resolved_at: datetime | None
    resolved_why: str = Field(description="Empty: the value came back.")
    value: Value = Field(description="When it opened.", examples=[0.91])
    peak_value: Value = None
    peak_at: datetime | None
    last_value: Value = None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_note: str
    muted: str = Field(description="Why nobody is told of it now; empty: people are.")


class Alerts(Answer):
    alerts: list[Alert]
    after: str = Field(description="Where the next page begins; empty: this is all.")


class Try(Answer):
    at: datetime
    result: str = Field(examples=["sent"])
    said: str
    next_try_at: datetime | None


class Told(Answer):
    """One message about this alert to one contact."""

    contact: str
    channel: str = Field(examples=["email"])
    why: str = Field(examples=["opened"])
    state: str = Field(examples=["sent"])
    tries: list[Try]


class Chapter(Answer):
    """One thing that happened to an alert."""

    at: datetime
    what: str = Field(
        description="opened, escalated, eased, resolved, acknowledged, noted, "
        "taken_back, silenced, lifted or muted.",
        examples=["acknowledged"],
    )
    by: str = Field(description="Who did it; empty: the hub.", examples=["ada"])
    said: str = Field(description="A note, a reason, until when.")


class FullAlert(Alert):
    snapshot: dict[str, object] = Field(description="The rule as it was.")
    samples: list[tuple[float, float | None]] = Field(
        description="Around the opening: Unix milliseconds and value."
    )
    told: list[Told]
    processes: list[str] = Field(description="What was behind it, for a person.")
    story: list[Chapter] = Field(description="What became of it, from its beginning.")


class Body(BaseModel):
    """What is sent. The library's own Schema would take a number for an object."""

    # A slip in a name must not pass for "leave it as it is".
    model_config = ConfigDict(extra="forbid")


class Acknowledgement(Body):
    note: Text = Field("", max_length=1000, description="What you do about it.")


class SilenceRequest(Body):
    seconds: int | None = Field(
        3600,
        ge=60,
        le=365 * 86400,
        description="null: until the alert is resolved.",
    )


class Rule(Answer):
    id: int
    name: str
    enabled: bool
    built_in: str = Field(description="The default it came as; empty: your own.")
    kind: str = Field(examples=["threshold"])
    metric: str
    matchers: str = Field(examples=["mountpoint=/data"])
    per: str = Field(description="The metric that the value is divided by.")
    scope: str = Field(examples=["all"])
    tags: list[str]
    machines: list[str]
    aggregation: str = Field(examples=["avg"])
    window_s: float
    operator: str = Field(examples=["gte"])
    unit: str = Field(description="Of the thresholds.", examples=["1"])
    warning: float | None
    critical: float | None
    for_s: float
    clear: float | None
    clear_for_s: float
    no_data: str
    horizon_s: float
    note: str
    runbook_url: str
    updated_at: datetime


class Rules(Answer):
    rules: list[Rule]


Number = Annotated[float, Bound(allow_inf_nan=False)]
Seconds = Annotated[float, Bound(ge=0, allow_inf_nan=False)]


class RuleChange(Body):
    """What to change; what is absent stays as it is."""

    name: Text | None = Field(None, min_length=1, max_length=128)
    enabled: bool | None = None
    kind: Literal["threshold", "change", "forecast", "down"] | None = None
    metric: Text | None = Field(None, max_length=128)
    matchers: Text | None = Field(
        None,
        max_length=4000,
        description="As in the form: `mountpoint=/data, type!=tmpfs`.",
    )
    per: Text | None = Field(None, max_length=128)
    scope: Literal["all", "tags", "machines"] | None = None
    tags: list[Text] | None = Field(None, max_length=100)
    machines: list[Text] | None = Field(
        None, max_length=1000, description="machine_ids."
    )
    aggregation: Literal["last", "avg", "min", "max", "rate", "change"] | None = None
    window_s: Seconds | None = None
    operator: Literal["gt", "gte", "lt", "lte", "eq", "ne"] | None = None
    warning: Number | None = Field(
        None, description="In the metric's own unit, ratios 0 to 1; null: no warning."
    )
    critical: Number | None = None
    for_s: Seconds | None = None
    clear: Number | None = None
    clear_for_s: Seconds | None = None
    no_data: Literal["ignore", "fire", "resolve"] | None = None
    horizon_s: Seconds | None = None
    note: Text | None = Field(None, max_length=4000)
    runbook_url: Text | None = Field(None, max_length=500)


class NewRule(RuleChange):
    """A rule; only its name is always needed."""

    name: Text = Field(min_length=1, max_length=128)
