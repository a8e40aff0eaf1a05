"""What became of an alert, and who had a hand in it: its story, for people."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from hub.alerts.models.alert import Alert


class Chapter(models.Model):
    """One thing that happened to an alert. Written once, never changed."""

    class What(models.TextChoices):
        OPENED = "opened", "opened"
        ESCALATED = "escalated", "became critical"
        EASED = "eased", "eased to a warning"
        RESOLVED = "resolved", "resolved"
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        NOTED = "noted", "noted"
        TAKEN_BACK = "taken_back", "acknowledgement taken back"
        SILENCED = "silenced", "silenced"
        LIFTED = "lifted", "silence ended"
        # By a silence or a maintenance window that was made for more than this one.
        MUTED = "muted", "nobody was told"

    alert = models.ForeignKey(
        Alert, models.CASCADE, db_index=False, related_name="chapters"
    )
    at = models.DateTimeField(default=timezone.now)
    what = models.CharField(max_length=16, choices=What)
    # Nobody: the hub itself did it. People leave; what they were called stays.
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    by_name = models.CharField(max_length=150, blank=True)
    # A note, a reason, until when.
    said = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ("at", "pk")
        indexes = (models.Index(fields=("alert", "at"), name="chapter_of_alert"),)

    def __str__(self) -> str:
        by = f" by {self.by_name}" if self.by_name else ""
        return f"{self.get_what_display()}{by}"
