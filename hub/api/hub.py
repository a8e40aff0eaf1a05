"""How the hub itself is, for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from ninja import Field, Router

from hub.api.auth import ApiRequest
from hub.api.schemas import Answer, Error
from hub.health.exposition import Process
from hub.health.report import Report, Stage, report
from hub.health.stages import DEADLINE_S
from hub.people.policy import viewer

REFUSALS = frozenset({401, 500, 503})

router = Router(tags=["hub"])


class StageAnswer(Answer):
    """From a test sample being sent until it came here, over the last hour."""

    stage: str = Field(
        description="commit: stored and acknowledged; event: heard on the bus; "
        "frame: in the hands of a browser.",
        examples=["frame"],
    )
    last_s: float | None = Field(
        description="null: it did not come in time, or none was sent yet.",
        examples=[0.08],
    )
    p50_s: float | None = Field(examples=[0.08])
    p95_s: float | None = Field(examples=[0.12])
    p99_s: float | None = Field(
        description=f"{DEADLINE_S:.0f} stands for what did not come in time.",
        examples=[0.2],
    )
    count: int = Field(description="Test samples of the last hour.", examples=[360])


class Quantiles(Answer):
    """The last five minutes of one histogram."""

    count: float
    p50: float | None
    p99: float | None


class ProcessAnswer(Answer):
    role: str = Field(examples=["grpcserve"])
    place: str = Field(description="Host and process id.", examples=["hub-1:812"])
    figures: dict[str, float | Quantiles] = Field(
        description="Its own numbers, named as on /metrics."
    )


class DependencyAnswer(Answer):
    state: str = Field(description="ok or down.", examples=["ok"])
    sentence: str
    milliseconds: float


class Hub(Answer):
    state: str = Field(
        description="well, late, or unknown when no test samples are being sent.",
        examples=["well"],
    )
    late: str | None = Field(
        description="What is late: storing, showing, or both but slow."
    )
    sentence: str = Field(description="What that means, for a person; else empty.")
    late_since: datetime | None
    tested: datetime | None = Field(description="When the last test sample ended.")
    stages: list[StageAnswer]
    dependencies: dict[str, DependencyAnswer]
    processes: list[ProcessAnswer]


@router.get(
    "/hub", response={200: Hub, REFUSALS: Error}, summary="How the hub itself is"
)
@viewer
def hub(request: ApiRequest) -> dict[str, Any]:
    """How quick the hub is, by test samples on the whole way, and its own numbers."""
    return _told(report(timezone.now()))


def _told(found: Report) -> dict[str, Any]:
    judgement, status = found.judgement, found.judgement.status
    well = "late" if judgement.late else "well"
    return {
        "state": "unknown" if status is None else well,
        "late": judgement.late,
        "sentence": judgement.sentence,
        "late_since": status and _at(status.late_since_ms),
        "tested": status and _at(status.ended_ms),
        "stages": [_stage(stage) for stage in found.stages],
        "dependencies": {
            name: {
                "state": finding.state,
                "sentence": finding.sentence,
                "milliseconds": finding.milliseconds,
            }
            for name, finding in found.dependencies.items()
        },
        "processes": [_process(process) for process in found.processes],
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "last_s": stage.last_s,
        "p50_s": stage.p50_s,
        "p95_s": stage.p95_s,
        "p99_s": stage.p99_s,
        "count": stage.count,
    }


def _process(process: Process) -> dict[str, Any]:
    return {"role": process.role, "place": process.place, "figures": process.figures}


def _at(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
