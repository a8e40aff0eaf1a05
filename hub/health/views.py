"""`/health`: this process lives. `/ready`: so does what it leans on."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub.health.dependencies import ESSENTIAL, findings
from hub.health.probe import Finding, State
from hub.people.policy import anybody


@anybody
@never_cache
@require_safe
async def health(request: HttpRequest) -> JsonResponse:
    """Answer at once and touch nothing: a restart would mend nothing else."""
    return JsonResponse({"status": "ok"})


@anybody
@never_cache
@require_safe
async def ready(request: HttpRequest) -> JsonResponse:
    """Tell each dependency's state; 503 when the hub cannot do its work."""
    found = await findings()
    # Who asks is written in the database: while it is away, nobody is known.
    essential_is_up = found[ESSENTIAL].state == State.OK
    in_full = essential_is_up and (await request.auser()).is_authenticated
    return JsonResponse(
        {
            "status": _status(found),
            "dependencies": {
                name: _shown(finding, in_full=in_full)
                for name, finding in found.items()
            },
        },
        status=200 if essential_is_up else 503,
    )


def _status(found: dict[str, Finding]) -> str:
    if found[ESSENTIAL].state == State.DOWN:
        return "unready"
    if any(finding.state == State.DOWN for finding in found.values()):
        return "degraded"
    return "ready"


def _shown(finding: Finding, *, in_full: bool) -> dict[str, Any]:
    if not in_full:
        return {"state": finding.state}
    return {
        "state": finding.state,
        "sentence": finding.sentence,
        "milliseconds": finding.milliseconds,
    }
