"""Migration operations that Django does not have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class Unmodelled(Operation):
    """A change that Django's models know nothing of."""

    reversible = True

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Leave the models as they are."""


class CreateHypertable(Unmodelled):
    """Make a table a hypertable where TimescaleDB is at hand.

    Elsewhere (SQLite, plain PostgreSQL) the table stays as it is. The primary
    key is kept and must hold the time column. Undone with the table itself.
    """

    reduces_to_sql = False

    def __init__(self, model: str, time: str, chunk: timedelta) -> None:
        self.model = model
        self.time = time
        self.chunk = chunk

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not timescale_is_available(schema_editor):
            return
        table = to_state.apps.get_model(app_label, self.model)._meta.db_table
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS timescaledb", None)
        schema_editor.execute(
            "SELECT create_hypertable(%s::regclass, %s::name, chunk_time_interval"
            " => %s::interval, create_default_indexes => FALSE,"
            " if_not_exists => TRUE, migrate_data => TRUE)",
            (table, self.time, self.chunk),
        )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Leave the table to whoever drops it."""

    def describe(self) -> str:
        return f"Make {self.model} a hypertable over {self.time}"


class VendorSQL(Unmodelled):
    """Run the statement written for the database in use, if there is one."""

    reduces_to_sql = True

    def __init__(self, *, forwards: dict[str, str], backwards: dict[str, str]) -> None:
        self.forwards = forwards
        self.backwards = backwards

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        _execute(schema_editor, self.forwards)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        _execute(schema_editor, self.backwards)

    def describe(self) -> str:
        return "Run SQL of the database in use"


def timescale_is_available(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
        )
        return cursor.fetchone() is not None


def _execute(schema_editor: BaseDatabaseSchemaEditor, sql: dict[str, str]) -> None:
    statement: Any = sql.get(schema_editor.connection.vendor)
    if statement:
        schema_editor.execute(statement, None)
