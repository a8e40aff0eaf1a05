"""Work that was announced."""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import models

from hub.alerts.models import week
from hub.alerts.quiet import Repeated, Span, days_of
from hub.machines.models import Machine, Tag

WEEK = timedelta(days=7)


class Maintenance(models.Model):
    """A time in which alerts of some machines are told to nobody."""

    class Kind(models.TextChoices):
        ONCE = "once", "once"
        DAILY = "daily", "every day"
        WEEKLY = "weekly", "on some days of the week"

    name = models.CharField(max_length=100)
    enabled = models.BooleanField(default=True)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.ONCE)
    starts_at = models.DateTimeField(
        "begins", null=True, blank=True, help_text="Of a window that comes once."
    )
    start = models.TimeField(
        "begins at", null=True, blank=True, help_text="Of one that comes again."
    )
    days = models.JSONField(default=list, blank=True, validators=[week.check_days])
    zone = models.CharField(
        "time zone", max_length=64, default="UTC", validators=[week.check_zone]
    )
    length = models.DurationField(help_text="Hours:minutes:seconds.")
    all_machines = models.BooleanField(default=False)
    tags = models.ManyToManyField(Tag, blank=True, related_name="+")
    machines = models.ManyToManyField(Machine, blank=True, related_name="+")

    class Meta:
        ordering = ("name",)
        verbose_name = "maintenance window"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        once = self.kind == self.Kind.ONCE
        if once and self.starts_at is None:
            raise ValidationError({"starts_at": "Say when it begins."})
        if not once and self.start is None:
            raise ValidationError({"start": "Say at what time of day it begins."})
        if self.kind == self.Kind.WEEKLY and not self.days:
            raise ValidationError({"days": "Choose at least one day."})
        length: timedelta | None = self.length
        if length is not None and not timedelta() < length <= WEEK:
            raise ValidationError({"length": "It lasts longer than 0, at most a week."})

    @property
    def span(self) -> Span | Repeated | None:
        """Return when it holds; None if it was never completed."""
        if self.kind == self.Kind.ONCE:
            start = self.starts_at
            return Span(start, start + self.length) if start else None
        if self.start is None:
            return None
        days = self.days if self.kind == self.Kind.WEEKLY else []
        return Repeated(self.start, self.length, self.zone, days_of(days))
