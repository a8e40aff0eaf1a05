"""A few numbers that change whenever somebody's settings may have."""

from __future__ import annotations

from django.db.models import Count, Max

from hub.control.models import AgentSettings, Revision, Rollout
from hub.machines.models import Machine
from hub.storage.database import guard


def now() -> tuple[object, ...]:
    """Read them: four small questions, whatever the number of machines."""
    with guard():
        return (
            Revision.objects.aggregate(last=Max("pk"))["last"],
            Rollout.objects.aggregate(last=Max("changed_at"))["last"],
            AgentSettings.objects.aggregate(count=Count("pk"))["count"],
            *Machine.tags.through.objects.aggregate(
                last=Max("pk"), count=Count("pk")
            ).values(),
        )
