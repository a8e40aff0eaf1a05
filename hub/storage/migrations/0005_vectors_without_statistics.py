"""Vectors are never searched: what their elements are is nothing for the planner.

Gathering it took most of every ANALYZE, which autovacuum runs on each chunk again
and again. Chunks that are made later take the setting over.
"""

from __future__ import annotations

from django.db import migrations

from hub.storage.operations import VendorSQL

VECTORS = {
    "storage_sample": ("values",),
    "storage_minutesample": ("count", "min", "avg", "max"),
    "storage_hoursample": ("count", "min", "avg", "max"),
}


def _statements(target: int) -> str:
    return "".join(
        f'ALTER TABLE {table} ALTER COLUMN "{column}" SET STATISTICS {target};\n'
        for table, columns in VECTORS.items()
        for column in columns
    )


class Migration(migrations.Migration):
    dependencies = [
        ("storage", "0004_account"),
    ]

    operations = [
        VendorSQL(
            forwards={"postgresql": _statements(0)},
            backwards={"postgresql": _statements(-1)},
        ),
    ]
