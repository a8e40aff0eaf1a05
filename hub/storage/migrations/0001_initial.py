from __future__ import annotations

from datetime import timedelta

import django.db.models.deletion
from django.db import migrations, models

import hub.storage.fields
from hub.storage.operations import CreateHypertable


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("machines", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Cursor",
            fields=[
                (
                    "machine",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="cursor",
                        serialize=False,
                        to="machines.machine",
                    ),
                ),
                ("spool_epoch", models.BinaryField(max_length=16)),
                ("sequence", models.BigIntegerField()),
                ("time", models.DateTimeField()),
                ("received", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Layout",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name="Metric",
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
                ("name", models.CharField(max_length=128, unique=True)),
                ("unit", models.CharField(blank=True, max_length=128)),
                ("kind", models.CharField(max_length=16)),
                ("help", models.CharField(blank=True, max_length=512)),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="Sample",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "machine",
                        "time",
                        "sequence",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("time", models.DateTimeField()),
                ("sequence", models.BigIntegerField()),
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
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="machines.machine",
                    ),
                ),
                ("delay_ms", models.IntegerField()),
                ("values", hub.storage.fields.VectorField()),
            ],
        ),
        migrations.CreateModel(
            name="LayoutSeries",
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
                ("position", models.PositiveIntegerField()),
                ("attributes", models.JSONField(default=dict)),
                (
                    "layout",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="series",
                        to="storage.layout",
                    ),
                ),
                (
                    "metric",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="storage.metric",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "layout series",
                "ordering": ("layout", "position"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("layout", "position"), name="layout_position"
                    )
                ],
            },
        ),
        # Chunks go as a whole when they expire: short ones keep little beyond the
        # retention, and an hour's chart reads two of them.
        CreateHypertable("Sample", time="time", chunk=timedelta(hours=2)),
    ]
