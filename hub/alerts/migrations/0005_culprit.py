from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0004_silence_alert"),
    ]

    operations = [
        migrations.CreateModel(
            name="Culprit",
            fields=[
                (
                    "alert",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="culprit",
                        serialize=False,
                        to="alerts.alert",
                    ),
                ),
                ("taken_at", models.DateTimeField()),
                ("span_ms", models.PositiveBigIntegerField()),
                (
                    "ranked_by",
                    models.CharField(
                        choices=[
                            ("cpu", "by processor time"),
                            ("memory", "by memory"),
                            ("io", "by bytes to and from disks"),
                        ],
                        max_length=8,
                    ),
                ),
                ("entries", models.JSONField(default=list)),
                ("distance_ms", models.FloatField()),
            ],
        ),
    ]
