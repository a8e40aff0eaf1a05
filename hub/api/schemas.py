"""What the API takes and answers, as its description shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from ninja import Field, Schema
from pydantic import AfterValidator, BaseModel, WithJsonSchema

from hub.api import moments
from hub.machines.presence import Presence

Ratio = Annotated[float | None, Field(description="0 to 1.", examples=[0.42])]
Rate = Annotated[float | None, Field(description="Bytes per second.", examples=[1e6])]
Bytes = Annotated[float | None, Field(description="Bytes.", examples=[8e9])]
Load = Annotated[float | None, Field(description="Mean number of tasks that ran.")]


def _attribute(text: str) -> str:
    name, colon, _ = text.partition(":")
    if not (name and colon):
        raise ValueError("It must be written name:value")
    return text


# The patterns are for those who generate clients; people are told in a sentence.
Moment = Annotated[str, WithJsonSchema({"type": "string", "pattern": moments.PATTERN})]
Attribute = Annotated[
    str,
    AfterValidator(_attribute),
    WithJsonSchema({"type": "string", "pattern": "^[^:]+:"}),
]


# The library's own Schema also reads attributes of Django's objects, in Python, at
# several times the cost; answers are dictionaries already.
Answer = BaseModel


class Error(Answer):
    error: str = Field(
        description="One sentence for a person.",
        examples=["There is no machine named 'web-1'."],
    )


class Summary(Answer):
    """What the overview shows of one machine; null = it has no such reading."""

    cpu: Ratio = None
    load1: Load = None
    load5: Load = None
    load15: Load = None
    cores: float | None = Field(None, description="Logical processors.", examples=[8])
    memory: Ratio = None
    memory_used: Bytes = None
    memory_limit: Bytes = None
    swap: Ratio = None
    disk: float | None = Field(
        None, description="The fullest filesystem, 0 to 1.", examples=[0.87]
    )
    disk_mount: str | None = Field(
        None, description="Where that filesystem is mounted.", examples=["/data"]
    )
    rx: Rate = None
    tx: Rate = None
    disk_read: Rate = None
    disk_write: Rate = None
    temperature: float | None = Field(
        None, description="The hottest sensor, in degrees Celsius.", examples=[61.0]
    )
    processes: float | None = Field(None, description="How many.", examples=[312])
    uptime: float | None = Field(
        None, description="Seconds since it booted.", examples=[86400]
    )


class State(Answer):
    """How a machine is heard of."""

    id: str = Field(description="The machine_id.", examples=["web-1"])
    title: str = Field(description="What people call it.", examples=["Web server"])
    presence: Presence = Field(
        description="online; stale: its samples are late; offline: none for long; "
        "stopped: its agent said goodbye; never: it has not sent one yet."
    )
    seen: datetime | None = Field(
        description="When its last sample arrived, by the hub's clock."
    )
    time: datetime | None = Field(
        description="When that sample was taken, by the machine's clock."
    )


class Machine(State):
    os: str = Field(
        description="Empty, as the next three, when the agent did not say.",
        examples=["Debian GNU/Linux 12"],
    )
    kernel: str = Field(examples=["6.1.0-18-amd64"])
    architecture: str = Field(examples=["x86_64"])
    agent_version: str = Field(examples=["0.1.0"])
    boot_time: datetime | None = Field(description="By the machine's clock.")
    interval_s: float = Field(description="Seconds between samples.", examples=[5])
    first_seen: datetime = Field(description="When it first said hello to the hub.")
    summary: Summary | None = Field(description="null until the first sample.")


class Machines(Answer):
    machines: list[Machine]


class Series(Answer):
    metric: str = Field(examples=["system.filesystem.utilization"])
    unit: str = Field(
        description='As in UCUM: "1" is a ratio, "By" bytes, "Cel" degrees.',
        examples=["1"],
    )
    attributes: dict[str, str] = Field(
        examples=[{"system.filesystem.mountpoint": "/data"}]
    )


class Reading(Series):
    value: float | None = Field(
        description="null: the machine had no reading this time.", examples=[0.87]
    )


class Current(State):
    """The newest sample of a machine, complete."""

    readings: list[Reading]


class HistoryQuery(Schema):
    metric: str = Field(
        description="One of the metrics that `metrics` lists.",
        examples=["system.filesystem.utilization"],
        min_length=1,
        max_length=255,
    )
    attr: list[Attribute] = Field(
        [],
        description="Only series with this attribute, written name:value. May be "
        "repeated; a series must have them all.",
        examples=[["system.filesystem.mountpoint:/data"]],
    )
    from_: Moment = Field(
        "-1h",
        alias="from",
        description="ISO 8601 (without an offset: UTC), Unix seconds, `now`, or a "
        "span before now such as -90m, -6h, -7d.",
    )
    to: Moment = Field("now", description="As `from`; itself not included.")
    points: int = Field(
        600, ge=1, le=5000, description="At most about so many per series."
    )


class Point(Answer):
    t: float = Field(description="Unix seconds.", examples=[1795161600.0])
    min: float
    avg: float
    max: float


class PastSeries(Answer):
    attributes: dict[str, str] = Field(
        examples=[{"system.filesystem.mountpoint": "/data"}]
    )
    points: list[Point] = Field(
        description="Ascending. Where nothing was measured there is no point."
    )


class Part(Answer):
    tier: str = Field(examples=["minute"])
    from_: datetime = Field(alias="from")
    to: datetime


class History(Answer):
    id: str = Field(description="The machine_id.", examples=["web-1"])
    metric: str
    unit: str
    kind: str = Field(examples=["gauge"])
    help: str
    from_: datetime = Field(alias="from")
    to: datetime
    tier: str = Field(
        description="The coarsest store that answered: raw, minute or hour.",
        examples=["raw"],
    )
    parts: list[Part] = Field(
        description="Which store answered for which stretch, ascending."
    )
    step_s: float = Field(description="Seconds that one point stands for.")
    series: list[PastSeries]


class Span(Answer):
    from_: datetime = Field(alias="from")
    to: datetime


class Account(Answer):
    """What became of every sample; the counts are within the agent's present spool."""

    id: str = Field(description="The machine_id.", examples=["web-1"])
    produced: int = Field(examples=[86400])
    stored: int = Field(examples=[86390])
    evicted: int = Field(description="Dropped by the agent: its spool was full.")
    refused: int = Field(description="Would never be stored, such as of a wild clock.")
    spooled: int = Field(description="Still with the agent.", examples=[10])
    remainder: int = Field(
        description="produced - stored - evicted - refused - spooled: 0, or a fault."
    )
    is_settled: bool = Field(description="Whether the remainder is 0.")
    lost: int = Field(description="Went with damaged spools before this one.")
    duplicates: int = Field(description="Came again and were absorbed.")
    reported: datetime | None = Field(
        description="When the agent last told its part; null: never."
    )
    spool_bytes: int | None = Field(description="On the machine's disk.")
    degraded: str = Field(
        description="Why samples are not safe on the machine's disk; empty: they are."
    )
    clock_skew_ms: int | None = Field(
        description="The machine's clock minus the hub's.", examples=[12]
    )
    ack_p50_ms: float | None = Field(
        description="From a sample's arrival to its acknowledgement.", examples=[38.0]
    )
    ack_p99_ms: float | None = Field(examples=[140.0])
    last_backfill: Span | None = Field(
        description="When the samples were taken that last came late."
    )
