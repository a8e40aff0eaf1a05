"""What happened, and how each rule stands with each series."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from hub.alerts.models.rule import Rule
from hub.alerts.spec import Severity
from hub.alerts.state import Phase
from hub.machines.models import Machine

SEVERITIES = {Severity.WARNING.word: "warning", Severity.CRITICAL.word: "critical"}
# Of `hub.alerts.plan.series_key`.
KEY_LENGTH = 32


class Alert(models.Model):
    """One incident of one rule and one series: kept for ever.

    Moments are by the hub's clock; values in the metric's own unit.
    """

    class Status(models.TextChoices):
        FIRING = "firing", "firing"
        RESOLVED = "resolved", "resolved"

    rule = models.ForeignKey(
        Rule, models.SET_NULL, null=True, blank=True, related_name="alerts"
    )
    # The rule as it was at the opening: `Rule.snapshot`.
    snapshot = models.JSONField(default=dict)
    # Machines may be deleted; what happened to them is still history.
    machine = models.ForeignKey(
        Machine, models.SET_NULL, null=True, blank=True, related_name="alerts"
    )
    machine_title = models.CharField(max_length=128)
    metric = models.CharField(max_length=128, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    series_key = models.CharField(max_length=KEY_LENGTH)

    state = models.CharField(max_length=8, choices=Status, default=Status.FIRING)
    severity = models.CharField(max_length=8, choices=SEVERITIES)
    peak_severity = models.CharField(max_length=8, choices=SEVERITIES)
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_why = models.CharField(max_length=200, blank=True)

    # At the opening, the worst, and the newest that was written down. Of a machine
    # that is down: intervals of silence; of a forecast: seconds until the limit.
    value = models.FloatField(null=True, blank=True)
    peak_value = models.FloatField(null=True, blank=True)
    peak_at = models.DateTimeField(null=True, blank=True)
    last_value = models.FloatField(null=True, blank=True)
    # [[Unix ms, value or null], …] by the machine's clock: what led to the opening,
    # and some minutes later what followed (`hub.alerts.aftermath`).
    samples = models.JSONField(default=list, blank=True)
    samples_are_whole = models.BooleanField(default=False)

    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    acknowledged_note = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ("-opened_at", "-pk")
        constraints = (
            # Whatever else goes wrong: never two open alerts for one incident.
            models.UniqueConstraint(
                fields=("rule", "machine", "series_key"),
                condition=models.Q(state="firing"),
                name="one_open_alert",
            ),
        )
        indexes = (
            models.Index(fields=("state", "-opened_at"), name="alert_by_state"),
            models.Index(fields=("machine", "-opened_at"), name="alert_by_machine"),
            models.Index(
                fields=("opened_at",),
                condition=models.Q(samples_are_whole=False),
                name="alert_to_complete",
            ),
        )

    def __str__(self) -> str:
        return f"{self.rule_name} on {self.machine_title}"

    @property
    def rule_name(self) -> str:
        return str(self.snapshot.get("name", ""))

    @property
    def unit(self) -> str:
        return str(self.snapshot.get("unit", ""))

    @property
    def is_open(self) -> bool:
        return self.state == self.Status.FIRING


class RuleState(models.Model):
    """Where a rule stands with a series; a row only while it is not at rest."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="states")
    machine = models.ForeignKey(Machine, models.CASCADE, related_name="+")
    series_key = models.CharField(max_length=KEY_LENGTH)
    phase = models.CharField(max_length=8, choices={p.value: p.value for p in Phase})
    # `hub.alerts.state.State` but for the phase.
    details = models.JSONField(default=dict)
    alert = models.ForeignKey(
        Alert, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("rule", "machine", "series_key"), name="one_state"
            ),
        )

    def __str__(self) -> str:
        return f"{self.rule_id}/{self.machine_id}: {self.phase}"
