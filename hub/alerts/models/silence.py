"""What nobody wants to hear of for a while."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from hub.alerts.models.alert import Alert
from hub.alerts.models.rule import Rule
from hub.machines.models import Tag


class Silence(models.Model):
    """Alerts that fit open as ever, but nobody is told until the moment given.

    What still fires then is told.
    """

    machine = models.CharField(
        max_length=128,
        default="*",
        help_text="A machine's id; * and ? stand for any characters.",
    )
    tag = models.ForeignKey(
        Tag, models.CASCADE, null=True, blank=True, related_name="+"
    )
    rule = models.ForeignKey(
        Rule, models.CASCADE, null=True, blank=True, related_name="+"
    )
    # Holds until this alert is resolved, at the latest.
    alert = models.ForeignKey(
        Alert, models.CASCADE, null=True, blank=True, editable=False, related_name="+"
    )
    # Of the series, as rules have them.
    matchers = models.JSONField(default=list, blank=True)
    starts_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField()
    reason = models.CharField(max_length=500)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-until",)
        indexes = (models.Index(fields=("until",), name="silence_until"),)

    def __str__(self) -> str:
        return f"{self.reason} (until {self.until:%Y-%m-%d %H:%M} UTC)"

    def clean(self) -> None:
        # A field that a form refused is still empty here.
        both: tuple[datetime | None, datetime | None] = (self.starts_at, self.until)
        if None not in both and self.until <= self.starts_at:
            raise ValidationError({"until": "It ends before it begins."})
