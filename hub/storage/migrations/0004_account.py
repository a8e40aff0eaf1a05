"""What became of every sample: counters, reports, gaps, dead letters."""

from __future__ import annotations

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

from hub.storage.operations import VendorSQL

# A cursor moves with every sample: room in its page keeps the index out of it.
FILLFACTOR = "ALTER TABLE storage_cursor SET (fillfactor = 50)"
NO_FILLFACTOR = "ALTER TABLE storage_cursor RESET (fillfactor)"
# Cursors of before count as if nothing had ever been skipped.
SETTLED = "UPDATE storage_cursor SET stored = sequence"


class Migration(migrations.Migration):
    dependencies = [
        ("machines", "0001_initial"),
        ("storage", "0003_tiers"),
    ]

    operations = [
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(
                        default=1, primary_key=True, serialize=False
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="HubAway",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("start", models.DateTimeField()),
                ("end", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name_plural": "hub away",
            },
        ),
        migrations.CreateModel(
            name="MachineReport",
            fields=[
                (
                    "machine",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="report",
                        serialize=False,
                        to="machines.machine",
                    ),
                ),
                ("spool_epoch", models.BinaryField(max_length=16)),
                ("produced", models.BigIntegerField(default=0)),
                ("evicted", models.BigIntegerField(default=0)),
                ("oldest_sequence", models.BigIntegerField(default=0)),
                ("spool_bytes", models.BigIntegerField(default=0)),
                ("lost", models.BigIntegerField(default=0)),
                ("behind", models.BigIntegerField(default=0)),
                ("degraded", models.CharField(blank=True, max_length=256)),
                ("received", models.DateTimeField()),
                ("clock_skew_ms", models.BigIntegerField(null=True)),
                ("ack_p50_ms", models.FloatField(null=True)),
                ("ack_p99_ms", models.FloatField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="cursor",
            name="began",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                default=django.utils.timezone.now,
            ),
        ),
        migrations.AddField(
            model_name="cursor",
            name="before",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="cursor",
            name="duplicates",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="cursor",
            name="refused",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="cursor",
            name="skipped",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="cursor",
            name="skipped_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="cursor",
            name="stored",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.CreateModel(
            name="Backfill",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("start", models.DateTimeField()),
                ("end", models.DateTimeField()),
                ("received", models.DateTimeField()),
                (
                    "machine",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="machines.machine",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["machine", "end"], name="backfill_end")
                ],
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("spool_epoch", models.BinaryField(max_length=16)),
                ("sequence", models.BigIntegerField()),
                ("time", models.DateTimeField()),
                ("received", models.DateTimeField()),
                ("reason", models.TextField()),
                ("values", models.BinaryField()),
                ("buried_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "layout",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="storage.layout",
                    ),
                ),
                (
                    "machine",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="machines.machine",
                    ),
                ),
            ],
            options={
                "ordering": ("-buried_at",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("machine", "spool_epoch", "sequence"),
                        name="one_dead_letter",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PastSpool",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("spool_epoch", models.BinaryField(max_length=16)),
                ("began", models.DateTimeField()),
                ("ended", models.DateTimeField()),
                ("produced", models.BigIntegerField()),
                ("sequence", models.BigIntegerField()),
                ("before", models.BigIntegerField()),
                ("stored", models.BigIntegerField()),
                ("refused", models.BigIntegerField()),
                ("skipped", models.BigIntegerField()),
                ("duplicates", models.BigIntegerField()),
                ("skipped_at", models.DateTimeField(null=True)),
                ("lost", models.BigIntegerField(default=0)),
                (
                    "machine",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="machines.machine",
                    ),
                ),
            ],
            options={
                "ordering": ("machine", "ended"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("machine", "spool_epoch"), name="machine_past_spool"
                    )
                ],
            },
        ),
        migrations.RunSQL(SETTLED, migrations.RunSQL.noop),
        VendorSQL(
            forwards={"postgresql": FILLFACTOR}, backwards={"postgresql": NO_FILLFACTOR}
        ),
    ]
