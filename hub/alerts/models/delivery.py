"""The ledger of what was told to whom: deliveries, their attempts, their contents."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from hub.alerts.models.alert import Alert
from hub.alerts.models.contact import Contact
from hub.alerts.models.route import Route


class Delivery(models.Model):
    """One message to one contact; it may tell of many alerts."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENDING = "sending", "being sent"
        SENT = "sent", "sent"
        # Given up after a day of attempts.
        DEAD = "dead", "dead"
        DROPPED = "dropped", "dropped"

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    contact = models.ForeignKey(
        Contact,
        # What was told is history: a contact that is no longer wanted is switched off.
        models.PROTECT,
        related_name="deliveries",
    )
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    # Waits for the end of somebody's quiet hours.
    held = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    # Since when it is tried; a day later it is dead.
    tried_since = models.DateTimeField(null=True, blank=True)
    attempts_made = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    # While it is being sent: by whom, and when others may take it for dead.
    holder = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(
                fields=("state", "due_at"),
                condition=models.Q(state__in=("waiting", "sending")),
                name="delivery_open",
            ),
            models.Index(
                fields=("created_at",),
                condition=models.Q(state="dead"),
                name="delivery_dead",
            ),
        )

    def __str__(self) -> str:
        return f"{self.contact} {self.created_at:%Y-%m-%d %H:%M:%S}: {self.state}"


class Notice(models.Model):
    """One alert's part of a message."""

    class What(models.TextChoices):
        OPENED = "opened", "opened"
        ESCALATED = "escalated", "became critical"
        RESOLVED = "resolved", "resolved"
        REMINDER = "reminder", "reminder"
        ESCALATION = "escalation", "nobody acknowledged"

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="notices")
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="+")
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="notices")
    route = models.ForeignKey(
        Route, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    what = models.CharField(max_length=16, choices=What)
    # Of a reminder: the first, the second…
    number = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    # When to look again: has anybody acknowledged?
    remind_at = models.DateTimeField(null=True, blank=True)
    escalate_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("pk",)
        constraints = (
            # Two planners, two beats, a task that ran twice: told once.
            models.UniqueConstraint(
                fields=("alert", "contact", "what", "number"), name="told_once"
            ),
        )
        indexes = (
            models.Index(
                fields=("remind_at",),
                condition=models.Q(remind_at__isnull=False),
                name="notice_remind",
            ),
            models.Index(
                fields=("escalate_at",),
                condition=models.Q(escalate_at__isnull=False),
                name="notice_escalate",
            ),
        )

    def __str__(self) -> str:
        return f"{self.alert_id} to {self.contact}: {self.what}"


class Attempt(models.Model):
    """One try to send a delivery, and what came of it."""

    class Result(models.TextChoices):
        RUNNING = "running", "being sent"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"
        REFUSED = "refused", "refused by the hub"
        # The process that sent it ended: it may have arrived.
        LOST = "lost", "outcome unknown"

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    result = models.CharField(max_length=8, choices=Result, default=Result.RUNNING)
    # Of an HTTP answer.
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    said = models.CharField(max_length=500, blank=True)
    next_try_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("delivery", "number")
        constraints = (
            models.UniqueConstraint(
                fields=("delivery", "number"), name="attempt_numbered"
            ),
        )
        indexes = (models.Index(fields=("started_at",), name="attempt_started"),)

    def __str__(self) -> str:
        return f"{self.delivery_id}/{self.number}: {self.result}"
