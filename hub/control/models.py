"""What is wanted of agents, by whom, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from hub.control import fields
from hub.machines.models import Machine, Tag
from hub.machines.registry import CANARY


class Scope(models.TextChoices):
    DEFAULT = "default", "every machine"
    TAG = "tag", "machines with a tag"
    MACHINE = "machine", "one machine"


class AgentSettings(models.Model):
    """What is wanted of the agents of one scope. The narrower scope wins."""

    scope = models.CharField(max_length=8, choices=Scope, default=Scope.DEFAULT)
    tag = models.OneToOneField(
        Tag, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    machine = models.OneToOneField(
        Machine, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    # What all its machines have, but for the first ones of a roll-out.
    current = models.ForeignKey(
        "Revision",
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )

    class Meta:
        verbose_name = "agent settings"
        verbose_name_plural = "agent settings"
        ordering = ("scope", "tag__name", "machine__machine_id")
        constraints = (
            models.UniqueConstraint(
                fields=("scope",),
                condition=models.Q(scope="default"),
                name="settings_one_default",
                violation_error_message="There is one default, and it exists.",
            ),
            models.CheckConstraint(
                condition=models.Q(scope="default", tag=None, machine=None)
                | models.Q(scope="tag", tag__isnull=False, machine=None)
                | models.Q(scope="machine", tag=None, machine__isnull=False),
                name="settings_of_one_scope",
                violation_error_message="Choose what fits the scope: a tag for a tag, "
                "a machine for one machine, neither for every machine.",
            ),
        )

    def __str__(self) -> str:
        if self.scope == Scope.TAG:
            return f"tag {self.tag}"
        if self.scope == Scope.MACHINE:
            return str(self.machine)
        return "every machine"

    @property
    def wanted(self) -> dict[str, Any]:
        return self.current.wanted if self.current else {}

    def machines(self) -> models.QuerySet[Machine]:
        """Return the machines that these settings are about."""
        if self.scope == Scope.TAG:
            return Machine.objects.filter(tags=self.tag_id)
        if self.scope == Scope.MACHINE:
            return Machine.objects.filter(pk=self.machine_id or 0)
        # The hub's own test samples have no agent.
        return Machine.objects.exclude(machine_id=CANARY)


class Revision(models.Model):
    """What somebody wanted from then on. Never changed."""

    settings = models.ForeignKey(
        AgentSettings, on_delete=models.CASCADE, related_name="revisions"
    )
    number = models.PositiveIntegerField()
    # By the names of `hub.control.fields`; what is absent is not said here.
    wanted = models.JSONField(default=dict)
    made_at = models.DateTimeField(default=timezone.now)
    made_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    by_name = models.CharField(max_length=150, blank=True)
    # The number of the earlier one that this one brings back.
    brings_back = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(
                fields=("settings", "number"), name="revision_number"
            ),
        )

    def __str__(self) -> str:
        return f"{self.settings}, revision {self.number}"

    @property
    def summary(self) -> str:
        return fields.summary(self.wanted)


class Rollout(models.Model):
    """A revision that a few machines try before the others get it."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        # Something is wrong: a person decides.
        STOPPED = "stopped", "stopped"
        DONE = "done", "done"
        UNDONE = "undone", "undone"
        # A later revision came meanwhile.
        REPLACED = "replaced", "replaced"

    # In these the first machines have another revision than the others.
    OPEN = (State.RUNNING, State.STOPPED)

    settings = models.ForeignKey(
        AgentSettings, on_delete=models.CASCADE, related_name="rollouts"
    )
    revision = models.OneToOneField(
        Revision, on_delete=models.CASCADE, related_name="rollout"
    )
    first = models.ManyToManyField(Machine, related_name="+")
    # How long each must stay up after it has applied them, seconds.
    stay_s = models.PositiveIntegerField(default=600)
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    # Why it stopped or ended: one sentence.
    reason = models.CharField(max_length=400, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("settings",),
                condition=models.Q(state__in=("running", "stopped")),
                name="rollout_one_open",
            ),
        )

    def __str__(self) -> str:
        return f"{self.revision}: {self.state}"


class Stand(StrEnum):
    """Where an agent is with what is wanted of it."""

    # It has never asked: too old, or not connected yet.
    UNHEARD = "unheard"
    WAITING = "waiting"
    APPLIED = "applied"
    REFUSED = "refused"


class Standing(models.Model):
    """What one machine's agent is to have, and what it says it has."""

    machine = models.OneToOneField(
        Machine, on_delete=models.CASCADE, primary_key=True, related_name="standing"
    )
    # Grows whenever `wanted` changes; 0 = that was never put together.
    version = models.BigIntegerField(default=0)
    # All scopes put together.
    wanted = models.JSONField(default=dict)
    changed_at = models.DateTimeField(default=timezone.now)

    reported_version = models.BigIntegerField(null=True)
    reported_at = models.DateTimeField(null=True)
    # Its sentences about `reported_version`.
    refused = models.JSONField(default=list)
    # Which collectors it has, on or off.
    collectors = models.JSONField(default=list)

    class Meta:
        verbose_name = "agent report"
        verbose_name_plural = "agent reports"
        ordering = ("machine__machine_id",)

    def __str__(self) -> str:
        return str(self.machine)

    @property
    def stand(self) -> Stand:
        if self.reported_version is None:
            return Stand.WAITING if self.collectors else Stand.UNHEARD
        if self.reported_version != self.version:
            return Stand.WAITING
        return Stand.REFUSED if self.refused else Stand.APPLIED
