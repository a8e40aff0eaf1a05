from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def add(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Only when it runs: the table of rules must be known to the registry first.
    from hub.alerts.defaults import rows

    Rule = apps.get_model("alerts", "Rule")
    known = {field.name for field in Rule._meta.get_fields()}
    Rule.objects.bulk_create(
        Rule(**{name: value for name, value in fields.items() if name in known})
        for fields in rows()
    )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
