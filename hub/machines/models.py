"""The machines that are watched."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import Group, User
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

SHA256_HEX = 64


class Tag(models.Model):
    """A word for machines of one kind: `production`, `database`."""

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                r"^[\w][\w.:-]*\Z", "A tag is one word of letters, digits and . : - _"
            )
        ],
    )

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Sight(models.Model):
    """What one person, or everybody in a group, is limited to.

    Whoever has none, and is in no group that has one, sees all machines; whoever has
    several sees what any of them shows. One without tags shows nothing: a tag that is
    deleted must not open everything. Administrators are never limited.
    """

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, null=True, blank=True, related_name="sight"
    )
    group = models.OneToOneField(
        Group, on_delete=models.CASCADE, null=True, blank=True, related_name="sight"
    )
    tags = models.ManyToManyField(
        Tag,
        blank=True,
        related_name="sights",
        help_text="Machines with any of these. None: no machines at all.",
    )

    class Meta:
        verbose_name = "limit of sight"
        verbose_name_plural = "limits of sight"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(user=None) ^ models.Q(group=None),
                name="sight_of_one",
                violation_error_message="Choose a user or a group, not both.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user or self.group}"


class Machine(models.Model):
    """One watched machine; its agent knows it by `machine_id`."""

    # 32 bits: the number stands in every stored sample.
    id = models.AutoField(primary_key=True)
    machine_id = models.CharField(max_length=128, unique=True)
    name = models.CharField(
        max_length=128, blank=True, help_text="Shown instead of the machine's id."
    )
    os = models.CharField(max_length=128, blank=True)
    kernel = models.CharField(max_length=128, blank=True)
    architecture = models.CharField(max_length=128, blank=True)
    agent_version = models.CharField(max_length=128, blank=True)
    boot_time = models.DateTimeField(null=True, blank=True)
    interval_s = models.FloatField(default=5, help_text="Seconds between samples.")
    first_seen = models.DateTimeField(default=timezone.now)
    last_hello = models.DateTimeField(null=True, blank=True)
    # The agent said that it is stopping; until its next hello, silence is meant.
    left_at = models.DateTimeField(null=True, blank=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="machines")

    class Meta:
        ordering = ("machine_id",)

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return self.name or self.machine_id


class EnrolmentToken(models.Model):
    """What turns an agent into one of this hub's; see `enrolment`."""

    digest = models.CharField(max_length=SHA256_HEX, unique=True, editable=False)
    name = models.CharField(max_length=100, blank=True, help_text="What it is for.")
    tags = models.ManyToManyField(
        Tag,
        blank=True,
        related_name="+",
        help_text="Given to each machine that comes with it.",
    )
    # The one that is enrolled anew; without it each use makes a machine.
    machine = models.ForeignKey(
        Machine, models.CASCADE, null=True, blank=True, related_name="enrolment_tokens"
    )
    uses_left = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField()
    made_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.name or f"made {self.created_at:%Y-%m-%d %H:%M}"

    def opens(self, now: datetime) -> bool:
        """Whether it lets another agent in."""
        return self.revoked_at is None and self.uses_left > 0 and now < self.expires_at


class Credential(models.Model):
    """What an agent proves itself with, as a digest; see `credentials`."""

    machine = models.ForeignKey(Machine, models.CASCADE, related_name="credentials")
    digest = models.CharField(max_length=SHA256_HEX, unique=True, editable=False)
    # The secret before, which goes on for a while after a rotation.
    previous_digest = models.CharField(
        max_length=SHA256_HEX, blank=True, db_index=True, editable=False
    )
    previous_until = models.DateTimeField(null=True, editable=False)
    rotations = models.PositiveIntegerField(default=0)
    # Where it came from: the same token with the same secret gets the same answer.
    token = models.ForeignKey(
        EnrolmentToken, models.SET_NULL, null=True, related_name="credentials"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    rotated_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    # Of the newest client certificate, in hexadecimal.
    certificate_serial = models.CharField(max_length=40, blank=True)
    # When two agents were last seen to use it at once; see `clones`.
    clone_seen_at = models.DateTimeField(null=True)
    sightings = models.JSONField(default=list, editable=False)
    refused = models.JSONField(default=list, editable=False)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.machine}, since {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None

    @property
    def is_cloned(self) -> bool:
        """Whether two agents have used it at once."""
        return self.is_live and self.clone_seen_at is not None
