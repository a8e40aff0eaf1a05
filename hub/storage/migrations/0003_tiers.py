from __future__ import annotations

from datetime import timedelta

import django.db.models.deletion
from django.db import migrations, models

import hub.storage.fields
from hub.storage.operations import CreateHypertable


class Migration(migrations.Migration):
    dependencies = [
        ("machines", "0001_initial"),
        ("storage", "0002_metric_points"),
    ]

    operations = [
        migrations.CreateModel(
            name="Late",
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
                ("machine_id", models.IntegerField()),
                ("minute", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "late marks",
            },
        ),
        migrations.CreateModel(
            name="Watermark",
            fields=[
                (
                    "tier",
                    models.CharField(max_length=8, primary_key=True, serialize=False),
                ),
                ("since", models.DateTimeField(null=True)),
                ("until", models.DateTimeField(null=True)),
                ("closing", models.DateTimeField(null=True)),
                ("hold", models.DateTimeField(null=True)),
                ("trouble", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="Copied",
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
                ("source", models.CharField(max_length=64)),
                ("table", models.CharField(max_length=64)),
                ("row", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "table"), name="copied_table"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="HourSample",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "machine",
                        "time",
                        "layout",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("time", models.DateTimeField()),
                ("count", hub.storage.fields.VectorField()),
                ("min", hub.storage.fields.VectorField()),
                ("avg", hub.storage.fields.VectorField()),
                ("max", hub.storage.fields.VectorField()),
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="MinuteSample",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "machine",
                        "time",
                        "layout",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("time", models.DateTimeField()),
                ("count", hub.storage.fields.VectorField()),
                ("min", hub.storage.fields.VectorField()),
                ("avg", hub.storage.fields.VectorField()),
                ("max", hub.storage.fields.VectorField()),
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
            ],
            options={
                "abstract": False,
            },
        ),
        # Short enough that little is kept beyond the retention, long enough that a
        # chart of the tier's whole length reads few of them.
        CreateHypertable("MinuteSample", time="time", chunk=timedelta(days=1)),
        CreateHypertable("HourSample", time="time", chunk=timedelta(days=7)),
    ]
