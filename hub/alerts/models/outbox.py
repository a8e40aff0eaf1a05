"""What there is to tell, written in the transaction in which it happened."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from hub.alerts.models.alert import Alert


class Happening(models.Model):
    """Something that happened to an alert; the truth of what people must hear."""

    class What(models.TextChoices):
        OPENED = "opened", "opened"
        ESCALATED = "escalated", "became critical"
        RESOLVED = "resolved", "resolved"
        ACKNOWLEDGED = "acknowledged", "acknowledged"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        # Silenced or in maintenance: told later if it still fires then.
        MUTED = "muted", "muted"
        DONE = "done", "done"

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="happenings")
    what = models.CharField(max_length=16, choices=What)
    at = models.DateTimeField(default=timezone.now)
    # However often it is noted, it is told once.
    key = models.CharField(max_length=64, unique=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    # Why nobody was told, if so.
    why = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("pk",)
        indexes = (
            models.Index(
                fields=("state", "id"),
                condition=~models.Q(state="done"),
                name="happening_open",
            ),
        )

    def __str__(self) -> str:
        return self.key
