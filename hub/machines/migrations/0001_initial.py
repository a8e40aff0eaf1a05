from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Machine",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("machine_id", models.CharField(max_length=128, unique=True)),
                (
                    "name",
                    models.CharField(
                        blank=True,
                        help_text="Shown instead of the machine's id.",
                        max_length=128,
                    ),
                ),
                ("os", models.CharField(blank=True, max_length=128)),
                ("kernel", models.CharField(blank=True, max_length=128)),
                ("architecture", models.CharField(blank=True, max_length=128)),
                ("agent_version", models.CharField(blank=True, max_length=128)),
                ("boot_time", models.DateTimeField(blank=True, null=True)),
                (
                    "interval_s",
                    models.FloatField(default=5, help_text="Seconds between samples."),
                ),
                ("first_seen", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_hello", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ("machine_id",),
            },
        ),
    ]
