"""A person changes what is wanted: a revision, at once or a few machines first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from hub.control import changed, compile, fields, silence
from hub.control.models import AgentSettings, Revision, Rollout, Scope
from hub.machines.models import Machine, Tag

# For the rows of one form; what comes later is compiled when its agent connects.
COMPILED_AT_ONCE = 2_000

NOBODY_IS_THERE = (
    "None of its machines is online, so none can go first. Save it for all of them; "
    "each takes it when it comes back."
)


class Unfit(Exception):
    """It cannot be so (permanent); the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How a roll-out begins: so many machines, or such a share of them."""

    machines: int = 0
    percent: int = 0
    stay_s: int = 600

    def of(self, total: int) -> int:
        wanted = self.machines or -(-total * self.percent // 100)
        return max(1, min(wanted, total))


def settings_of(owner: Machine | Tag | None) -> AgentSettings:
    """Return the settings of a machine, a tag or everybody; empty ones at first."""
    if isinstance(owner, Machine):
        found, _ = AgentSettings.objects.get_or_create(
            machine=owner, defaults={"scope": Scope.MACHINE}
        )
    elif isinstance(owner, Tag):
        found, _ = AgentSettings.objects.get_or_create(
            tag=owner, defaults={"scope": Scope.TAG}
        )
    else:
        found, _ = AgentSettings.objects.get_or_create(scope=Scope.DEFAULT)
    return found


def find(machine: Machine) -> AgentSettings | None:
    """Return a machine's own settings; None: nobody has said anything for it."""
    own = AgentSettings.objects.select_related("current")
    return own.filter(machine=machine).first()


def save(
    settings: AgentSettings,
    wanted: fields.Wanted,
    *,
    by: User | None,
    stage: Stage | None = None,
    brings_back: int | None = None,
) -> Revision | None:
    """Want this from now on; None: that is what is wanted already.

    With a stage the first machines get it now, the others when those are well.
    Raises Unfit.
    """
    if wrong := fields.faults(wanted):
        raise Unfit(" ".join(wrong.values()))
    with transaction.atomic():
        settings = _locked(settings)
        open_ = settings.rollouts.filter(state__in=Rollout.OPEN).first()
        if open_ is None and settings.wanted == wanted:
            return None
        revision = _revision(settings, wanted, by, brings_back)
        if open_ is not None:
            end(
                open_,
                Rollout.State.REPLACED,
                f"Replaced by revision {revision.number}.",
            )
        if stage is None:
            settings.current = revision
            settings.save(update_fields=["current"])
        else:
            _begin(settings, revision, stage)
        _tell(settings)
    return revision


def bring_back(
    settings: AgentSettings, number: int, *, by: User | None, stage: Stage | None = None
) -> Revision | None:
    """Undo: want once more what an earlier revision said. Raises Unfit.

    Number 0 is before the first one: nothing was said.
    """
    wanted: dict[str, Any] = {}
    if number:
        earlier = settings.revisions.filter(number=number).first()
        if earlier is None:
            raise Unfit(f"There is no revision {number}.")
        wanted = earlier.wanted
    return save(settings, wanted, by=by, stage=stage, brings_back=number)


def go_on(rollout: Rollout, *, reason: str) -> bool:
    """Give the others what the first have; False: it is over already."""
    with transaction.atomic():
        settings = _locked(rollout.settings)
        rollout.refresh_from_db()
        if rollout.state not in Rollout.OPEN:
            return False
        settings.current = rollout.revision
        settings.save(update_fields=["current"])
        end(rollout, Rollout.State.DONE, reason)
        _tell(settings)
    return True


def undo(rollout: Rollout, *, reason: str) -> bool:
    """Give the first what the others have; False: it is over already."""
    with transaction.atomic():
        settings = _locked(rollout.settings)
        rollout.refresh_from_db()
        if rollout.state not in Rollout.OPEN:
            return False
        end(rollout, Rollout.State.UNDONE, reason)
        _tell(settings)
    return True


def end(rollout: Rollout, state: Rollout.State, reason: str) -> None:
    rollout.state, rollout.reason = state, reason[:400]
    rollout.changed_at = timezone.now()
    rollout.save(update_fields=["state", "reason", "changed_at"])


def _locked(settings: AgentSettings) -> AgentSettings:
    rows = AgentSettings.objects.select_related(None).select_for_update()
    return rows.get(pk=settings.pk)


def _revision(
    settings: AgentSettings,
    wanted: fields.Wanted,
    by: User | None,
    brings_back: int | None,
) -> Revision:
    last = settings.revisions.aggregate(last=Max("number"))["last"] or 0
    return Revision.objects.create(
        settings=settings,
        number=last + 1,
        wanted=dict(wanted),
        made_by=by,
        by_name=by.get_username() if by else "",
        brings_back=brings_back,
    )


def _begin(settings: AgentSettings, revision: Revision, stage: Stage) -> None:
    machines = list(settings.machines())
    there = [machine for machine in machines if not silence.of(machines)[machine.pk]]
    if not there:
        raise Unfit(NOBODY_IS_THERE)
    rollout = Rollout.objects.create(
        settings=settings, revision=revision, stay_s=stage.stay_s
    )
    rollout.first.set(there[: stage.of(len(machines))])


def _tell(settings: AgentSettings) -> None:
    pks = list(settings.machines().values_list("pk", flat=True)[: COMPILED_AT_ONCE + 1])
    if len(pks) <= COMPILED_AT_ONCE:
        # So that a page that is shown next tells the version that is wanted now.
        compile.standings(pks)
    changed.tell(None if settings.scope == Scope.DEFAULT else pks)
