from __future__ import annotations

import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("storage", "0005_vectors_without_statistics"),
    ]

    operations = [
        migrations.AddField(
            model_name="layout",
            name="last_used",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                db_index=True,
                default=django.utils.timezone.now,
            ),
        ),
    ]
