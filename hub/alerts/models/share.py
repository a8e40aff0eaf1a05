"""Which process evaluates which machines, and when none of them could."""

from __future__ import annotations

from django.db import models


class Evaluator(models.Model):
    """A process that evaluates; it is alive until `until` by the database's clock."""

    name = models.CharField(max_length=64, primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Share(models.Model):
    """A part of the machines: those whose key, divided by SHARES, leaves `number`.

    Its owner evaluates them until `until` passes; every write of the owner's checks
    in the same transaction that it still is the owner.
    """

    number = models.PositiveSmallIntegerField(primary_key=True)
    owner = models.CharField(max_length=64, blank=True)
    # By the database's clock, which all processes share.
    until = models.DateTimeField(null=True)
    # Up to where each machine has been evaluated: {pk: [received, time, offset]} in
    # milliseconds. It moves in the transaction that writes what followed from it.
    positions = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"share {self.number} of {self.owner or 'nobody'}"


class Blindness(models.Model):
    """A stretch in which silence meant nothing: the hub could not hear."""

    start = models.DateTimeField()
    end = models.DateTimeField()
    why = models.CharField(max_length=200)

    class Meta:
        ordering = ("-start",)
        verbose_name_plural = "blindness"

    def __str__(self) -> str:
        return f"{self.start:%F %T} – {self.end:%T}: {self.why}"  # noqa: RUF001 - a range
