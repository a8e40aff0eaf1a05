"""Empty the test database after a test that committed: only what holds something.

Django's own way truncates every table, full or not, and fills Django's again by
post_migrate: a third of a second on PostgreSQL, hundreds of times in one run.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase

# The same whatever a test did; Django's flush would make these rows anew.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def install() -> None:
    """Let transactional tests end by `flush`."""
    setattr(TransactionTestCase, "_fixture_teardown", _teardown)  # noqa: B010 - it has no type


def _teardown(_case: TransactionTestCase) -> None:
    flush()


def flush() -> None:
    """Empty all tables but those KEPT."""
    names = connection.introspection.django_table_names(
        only_existing=True, include_views=False
    )
    tables = sorted(set(names) - KEPT)
    is_postgres = connection.vendor == "postgresql"
    with (
        connection.constraint_checks_disabled(),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        if is_postgres:
            # No foreign key is asked: everything goes.
            cursor.execute("SET LOCAL session_replication_role = replica")
            chunked = _chunked(cursor)
            for table in chunked & set(tables):
                # Takes the empty chunks too.
                cursor.execute(f"TRUNCATE {table}")
            tables = [table for table in tables if table not in chunked]
        for table in _filled(cursor, tables):
            cursor.execute(f'DELETE FROM "{table}"')


def _filled(cursor: CursorWrapper, tables: list[str]) -> list[str]:
    asked = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM \"{table}\")" for table in tables
    )
    cursor.execute(asked)
    return [name for (name,) in cursor.fetchall()]


def _chunked(cursor: CursorWrapper) -> set[str]:
    """Return the hypertables that have chunks."""
    cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
    if not cursor.fetchall():
        return set()
    cursor.execute(
        "SELECT DISTINCT hypertable_name FROM timescaledb_information.chunks"
    )
    return {name for (name,) in cursor.fetchall()}
