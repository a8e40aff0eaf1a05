"""The groups that give people their roles."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

NAMES = ("viewer", "operator", "administrator")


def seed(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    group = apps.get_model("auth", "Group")
    for name in NAMES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0002_audit"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    # Whoever is in them stays in them, also when the tables go back.
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
