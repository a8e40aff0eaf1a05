from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0005_culprit"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Chapter",
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
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "what",
                    models.CharField(
                        choices=[
                            ("opened", "opened"),
                            ("escalated", "became critical"),
                            ("eased", "eased to a warning"),
                            ("resolved", "resolved"),
                            ("acknowledged", "acknowledged"),
                            ("noted", "noted"),
                            ("taken_back", "acknowledgement taken back"),
                            ("silenced", "silenced"),
                            ("lifted", "silence ended"),
                            ("muted", "nobody was told"),
                        ],
                        max_length=16,
                    ),
                ),
                ("by_name", models.CharField(blank=True, max_length=150)),
                ("said", models.CharField(blank=True, max_length=1000)),
            ],
            options={
                "ordering": ("at", "pk"),
            },
        ),
        migrations.AddField(
            model_name="alert",
            name="samples_are_whole",
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("samples_are_whole", False)),
                fields=["opened_at"],
                name="alert_to_complete",
            ),
        ),
        migrations.AddField(
            model_name="chapter",
            name="alert",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="chapters",
                to="alerts.alert",
            ),
        ),
        migrations.AddField(
            model_name="chapter",
            name="by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "dead")),
                fields=["created_at"],
                name="delivery_dead",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(fields=["started_at"], name="attempt_started"),
        ),
        migrations.AddIndex(
            model_name="chapter",
            index=models.Index(fields=["alert", "at"], name="chapter_of_alert"),
        ),
    ]
