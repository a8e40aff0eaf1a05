"""The machines that are watched."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone


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
