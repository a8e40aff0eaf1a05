"""Which processes were behind an alert."""

from __future__ import annotations

from django.db import models

from hub.alerts.models.alert import Alert


class Culprit(models.Model):
    """The snapshot that says most about the time when the alert's trouble began."""

    class Rank(models.TextChoices):
        CPU = "cpu", "by processor time"
        MEMORY = "memory", "by memory"
        IO = "io", "by bytes to and from disks"

    alert = models.OneToOneField(
        Alert, models.CASCADE, primary_key=True, related_name="culprit"
    )
    # By the hub's clock; rates are of the `span_ms` before it.
    taken_at = models.DateTimeField()
    span_ms = models.PositiveBigIntegerField()
    ranked_by = models.CharField(max_length=8, choices=Rank)
    # `hub.storage.processes.to_rows`, the first of the ranking first.
    entries = models.JSONField(default=list)
    # How far it is off the moment, see `Snapshot.distance_ms`: a better one replaces
    # it while the alert is young.
    distance_ms = models.FloatField()

    def __str__(self) -> str:
        return f"{self.alert_id} at {self.taken_at:%H:%M:%S}"
