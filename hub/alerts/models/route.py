"""What reaches whom."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from hub.alerts.models import week
from hub.alerts.models.contact import Contact
from hub.alerts.models.rule import Rule
from hub.alerts.quiet import Hours, days_of
from hub.machines.models import Tag

HOUR_S = 3600
DAY_S = 24 * HOUR_S
MAX_REMINDERS = 20


class Route(models.Model):
    """Alerts that fit go to the contacts; several routes may fit one alert."""

    class Level(models.TextChoices):
        WARNING = "warning", "warnings and critical alerts"
        CRITICAL = "critical", "critical alerts only"

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(
        default=0,
        help_text="The lower one decides when two routes name the same contact.",
    )

    level = models.CharField(max_length=8, choices=Level, default=Level.WARNING)
    tags = models.ManyToManyField(
        Tag, blank=True, related_name="+", help_text="None: every machine."
    )
    rules = models.ManyToManyField(
        Rule, blank=True, related_name="routes", help_text="None: every rule."
    )
    hours_from = models.TimeField(
        "from", null=True, blank=True, help_text="Empty: at any time."
    )
    hours_until = models.TimeField("until", null=True, blank=True)
    days = models.JSONField(default=list, blank=True, validators=[week.check_days])
    zone = models.CharField(
        "time zone", max_length=64, default="UTC", validators=[week.check_zone]
    )

    contacts = models.ManyToManyField(Contact, related_name="routes")
    group_wait_s = models.PositiveIntegerField(
        "wait for more",
        default=30,
        validators=[MaxValueValidator(HOUR_S)],
        help_text="Seconds. What opens within them goes out as one message.",
    )
    tell_resolved = models.BooleanField("tell when it is over", default=True)
    remind_every_s = models.PositiveIntegerField(
        "remind every",
        null=True,
        blank=True,
        default=4 * HOUR_S,
        validators=[MinValueValidator(60), MaxValueValidator(7 * DAY_S)],
        help_text="Seconds, until somebody acknowledges. Empty: never.",
    )
    remind_times = models.PositiveSmallIntegerField(
        "at most", default=6, validators=[MaxValueValidator(MAX_REMINDERS)]
    )
    escalate_after_s = models.PositiveIntegerField(
        "escalate after",
        null=True,
        blank=True,
        validators=[MaxValueValidator(7 * DAY_S)],
        help_text="Seconds without acknowledgement. Empty: never.",
    )
    escalate_to = models.ManyToManyField(Contact, blank=True, related_name="+")

    class Meta:
        ordering = ("position", "pk")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        week.check_pair(self.hours_from, self.hours_until, "The hours")

    @property
    def hours(self) -> Hours | None:
        """Return when the route is open; None = always."""
        if self.hours_from is None or self.hours_until is None:
            return None
        return Hours(self.hours_from, self.hours_until, self.zone, days_of(self.days))
