"""Tables of the storage: what is measured, and the measurements."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from hub.machines.models import Machine
from hub.storage.fields import PackedField, VectorField


class Metric(models.Model):
    """A described quantity, learnt from the agents."""

    name = models.CharField(max_length=128, unique=True)
    unit = models.CharField(max_length=128, blank=True)
    kind = models.CharField(max_length=16)
    help = models.CharField(max_length=512, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Layout(models.Model):
    """An ordered list of series; every machine that sends the same shares it."""

    # 32 bits: the number stands in every stored sample.
    id = models.AutoField(primary_key=True)
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # An agent sent it, or hours were made of it, so long ago at most; see prune.py.
    last_used = models.DateTimeField(
        default=timezone.now, db_default=Now(), db_index=True
    )

    def __str__(self) -> str:
        return f"layout {self.pk}"


class LayoutSeries(models.Model):
    """One place of a layout: a metric with its attributes."""

    # The constraint below is the index.
    layout = models.ForeignKey(
        Layout, models.CASCADE, related_name="series", db_index=False
    )
    position = models.PositiveIntegerField()
    metric = models.ForeignKey(Metric, models.PROTECT, related_name="+")
    attributes = models.JSONField(default=dict)

    class Meta:
        ordering = ("layout", "position")
        constraints = (
            models.UniqueConstraint(
                fields=("layout", "position"), name="layout_position"
            ),
        )
        verbose_name_plural = "layout series"

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in self.attributes.items())
        return f"{self.metric}{{{labels}}}"


class Sample(models.Model):
    """One stored tick. Written by `raw.py` and read by `window.py`, in bulk.

    Columns stand from wide to narrow: no byte is lost to alignment. There are
    no foreign key constraints: on a hypertable they deadlock with the creation
    of chunks (timescaledb issue 7429), and a machine's samples expire anyway.
    """

    # The sequence tells two ticks apart when a clock was set back.
    pk = models.CompositePrimaryKey("machine", "time", "sequence")
    time = models.DateTimeField()
    sequence = models.BigIntegerField()
    machine = models.ForeignKey(
        Machine,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    layout = models.ForeignKey(
        Layout, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    # Received (the hub's clock) minus time (the agent's).
    delay_ms = models.IntegerField()
    values = PackedField()

    def __str__(self) -> str:
        return f"{self.machine_id}/{self.sequence} at {self.time:%F %T}"


class Cursor(models.Model):
    """The last sample of a machine that is durably stored."""

    machine = models.OneToOneField(
        Machine, models.CASCADE, primary_key=True, related_name="cursor"
    )
    spool_epoch = models.BinaryField(max_length=16)
    # Everything up to here is settled: before + stored + refused + skipped.
    sequence = models.BigIntegerField()
    # Of the last sample that was stored.
    time = models.DateTimeField()
    received = models.DateTimeField()
    # Numbers before the first that this hub ever heard of.
    before = models.BigIntegerField(default=0, db_default=0)
    stored = models.BigIntegerField(default=0, db_default=0)
    refused = models.BigIntegerField(default=0, db_default=0)
    # Numbers that never came, though later ones did: the agent dropped them.
    skipped = models.BigIntegerField(default=0, db_default=0)
    # Came again and were absorbed.
    duplicates = models.BigIntegerField(default=0, db_default=0)
    skipped_at = models.DateTimeField(null=True)
    # When the first sample of this spool came.
    began = models.DateTimeField(default=timezone.now, db_default=Now())

    def __str__(self) -> str:
        return f"{self.machine_id} up to {self.sequence}"


class PastSpool(models.Model):
    """How far a machine's earlier spool came; it goes on if that spool returns."""

    machine = models.ForeignKey(Machine, models.CASCADE, related_name="+")
    spool_epoch = models.BinaryField(max_length=16)
    began = models.DateTimeField()
    ended = models.DateTimeField()
    # The highest number that the agent is known to have given.
    produced = models.BigIntegerField()
    sequence = models.BigIntegerField()
    before = models.BigIntegerField()
    stored = models.BigIntegerField()
    refused = models.BigIntegerField()
    skipped = models.BigIntegerField()
    duplicates = models.BigIntegerField()
    skipped_at = models.DateTimeField(null=True)
    # Produced, and never settled.
    lost = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("machine", "ended")
        constraints = (
            models.UniqueConstraint(
                fields=("machine", "spool_epoch"), name="machine_past_spool"
            ),
        )

    def __str__(self) -> str:
        return f"{self.machine_id} up to {self.sequence}, ended {self.ended:%F %T}"


class MachineReport(models.Model):
    """What a machine's agent last said of its samples, and what its stream is like."""

    machine = models.OneToOneField(
        Machine, models.CASCADE, primary_key=True, related_name="report"
    )
    spool_epoch = models.BinaryField(max_length=16)
    produced = models.BigIntegerField(default=0)
    evicted = models.BigIntegerField(default=0)
    # 0 = the spool is empty.
    oldest_sequence = models.BigIntegerField(default=0)
    spool_bytes = models.BigIntegerField(default=0)
    # Went with a damaged spool before this one.
    lost = models.BigIntegerField(default=0)
    # How far the numbers fell behind those that had come: the spool was set back.
    behind = models.BigIntegerField(default=0)
    degraded = models.CharField(max_length=256, blank=True)
    received = models.DateTimeField()
    # The agent's clock minus the hub's, at Hello.
    clock_skew_ms = models.BigIntegerField(null=True)
    ack_p50_ms = models.FloatField(null=True)
    ack_p99_ms = models.FloatField(null=True)

    def __str__(self) -> str:
        return f"{self.machine_id} has produced {self.produced}"


class Backfill(models.Model):
    """A stretch of a machine's time whose samples came late."""

    machine = models.ForeignKey(
        Machine, models.CASCADE, db_index=False, related_name="+"
    )
    start = models.DateTimeField()
    end = models.DateTimeField()
    # When the last of them came.
    received = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("machine", "end"), name="backfill_end"),)

    def __str__(self) -> str:
        return f"{self.machine_id} from {self.start:%F %T} to {self.end:%F %T}"


class HubAway(models.Model):
    """A stretch of time in which the hub could store nothing."""

    start = models.DateTimeField()
    end = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "hub away"

    def __str__(self) -> str:
        return f"from {self.start:%F %T} to {self.end:%F %T}"


class Heartbeat(models.Model):
    """The one row that says when the hub was last able to store samples."""

    ROW = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ROW)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.at:%F %T}"


class DeadLetter(models.Model):
    """A sample that the database would not take; a person may try again."""

    machine = models.ForeignKey(Machine, models.CASCADE, related_name="+")
    spool_epoch = models.BinaryField(max_length=16)
    sequence = models.BigIntegerField()
    layout = models.ForeignKey(
        Layout, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    time = models.DateTimeField()
    received = models.DateTimeField()
    # What the database said.
    reason = models.TextField()
    # Little-endian float32s, as they came.
    values = models.BinaryField()
    buried_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-buried_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("machine", "spool_epoch", "sequence"), name="one_dead_letter"
            ),
        )

    def __str__(self) -> str:
        return f"{self.machine_id}/{self.sequence} at {self.time:%F %T}"


class _Bucket(models.Model):
    """What a machine's samples of one layout came to, in a stretch of time.

    Vectors are aligned to the layout, like a sample's. An average is of `count`
    readings; a series without any has count 0 and NaN for the rest.
    """

    pk = models.CompositePrimaryKey("machine", "time", "layout")
    # Where the stretch begins.
    time = models.DateTimeField()
    machine = models.ForeignKey(
        Machine,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    layout = models.ForeignKey(
        Layout, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    count = VectorField()
    min = VectorField()
    avg = VectorField()
    max = VectorField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.machine_id} from {self.time:%F %T}"


class MinuteSample(_Bucket):
    """A minute. Written by `rollup.py` and read by `window.py`, in bulk."""


class HourSample(_Bucket):
    """An hour, made of its minutes."""


class Watermark(models.Model):
    """How far a tier has come; one row a tier, see `tiers.py`."""

    tier = models.CharField(max_length=8, primary_key=True)
    # Rows of earlier moments have expired; None = nothing ever has.
    since = models.DateTimeField(null=True)
    # Everything before is rolled up into this tier; None = nothing is.
    until = models.DateTimeField(null=True)
    # A sample that is stored from now on and is earlier is late, see `late.py`.
    closing = models.DateTimeField(null=True)
    # Nothing expires before this moment: an archive was restored.
    hold = models.DateTimeField(null=True)
    # Why rows that should have expired are still here; "" = all is well.
    trouble = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.tier}: {self.since} to {self.until}"


class Late(models.Model):
    """A minute of a machine that is to be rolled up again.

    A log, not a set: a mark that is taken away can never be one that was made
    meanwhile for a sample which nobody has seen yet.
    """

    machine_id = models.IntegerField()
    minute = models.DateTimeField()

    class Meta:
        verbose_name_plural = "late marks"

    def __str__(self) -> str:
        return f"{self.machine_id} at {self.minute:%F %R}"


class Copied(models.Model):
    """How far a table of another store was copied into this one (migratestore)."""

    source = models.CharField(max_length=64)
    table = models.CharField(max_length=64)
    # SQLite's number of the last row that is here.
    row = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("source", "table"), name="copied_table"),
        )

    def __str__(self) -> str:
        return f"{self.table} up to row {self.row}"
