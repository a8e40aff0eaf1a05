"""The first machines of a roll-out are watched; the others follow, or it stops."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from hub.control import edit, silence
from hub.control.models import Rollout, Stand, Standing
from hub.log import get_logger
from hub.machines.models import Machine
from hub.machines.presence import Presence

log = get_logger(__name__)

# An agent applies settings at once. It may be connecting again just now.
APPLY_WITHIN_S = 120.0


class Verdict(NamedTuple):
    """What is to be done now, and why."""

    action: str
    reason: str = ""


WAIT = Verdict("wait")


def tend(now: datetime | None = None) -> None:
    """Look after every roll-out that is under way. Any number may run at once."""
    for rollout in Rollout.objects.filter(state=Rollout.State.RUNNING):
        verdict = judge(rollout, now or timezone.now())
        if verdict.action == "stop":
            stop(rollout, verdict.reason)
        elif verdict.action == "go on":
            edit.go_on(rollout, reason=verdict.reason)
            log.info("rollout.went_on", settings=str(rollout.settings))


def stop(rollout: Rollout, reason: str) -> None:
    """Leave everything as it is until a person decides."""
    ours = Rollout.objects.filter(pk=rollout.pk, state=Rollout.State.RUNNING)
    if ours.update(
        state=Rollout.State.STOPPED, reason=reason[:400], changed_at=timezone.now()
    ):
        log.warning("rollout.stopped", settings=str(rollout.settings), reason=reason)


def judge(rollout: Rollout, now: datetime) -> Verdict:
    """Decide by what the first machines report and whether they are there."""
    first = list(rollout.first.all())
    if not first:
        return Verdict("stop", "The machines that went first were removed.")
    standings = Standing.objects.in_bulk([machine.pk for machine in first])
    wrong = silence.of(first)
    since = [rollout.started_at]
    for machine in first:
        standing = standings.get(machine.pk)
        trouble = _trouble(machine, standing, wrong[machine.pk])
        if trouble:
            return Verdict("stop", trouble)
        if standing is None or standing.stand is not Stand.APPLIED:
            if now - rollout.started_at > timedelta(seconds=APPLY_WITHIN_S):
                return Verdict("stop", f"{machine} did not say that it applied them.")
            return WAIT
        since.append(max(standing.changed_at, standing.reported_at or now))
    if now - max(since) < timedelta(seconds=rollout.stay_s):
        return WAIT
    count = "The first machine" if len(first) == 1 else f"The first {len(first)}"
    return Verdict("go on", f"{count} stayed well.")


def _trouble(machine: Machine, standing: Standing | None, silent: str) -> str:
    if standing is not None and standing.stand is Stand.REFUSED:
        return f"{machine} refused: {standing.refused[0]}"
    # One that is late may come back; so it is judged by the page's own "offline".
    if silent and silent != silence.WORDS[Presence.STALE]:
        return f"{machine} {silent}."
    return ""
