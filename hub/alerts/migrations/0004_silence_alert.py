from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_notifications")]

    operations = [
        migrations.AddField(
            model_name="silence",
            name="alert",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="alerts.alert",
            ),
        ),
    ]
