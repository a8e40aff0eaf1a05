from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection

from hub.machines.models import Machine
from hub.storage import layouts, operations, raw
from hub.storage.expire import is_hypertable
from hub.storage.models import Sample
from hub.storage.tests.conftest import arriving, sample, series

DAY_S = 86_400


def rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def write_two_days() -> None:
    layouts.forget_all()
    machine = Machine.objects.create(machine_id="web-1")
    layout = layouts.learn([series("a")])
    ticks = [
        sample(machine.pk, layout.id, n, 1, at_s=n * DAY_S / 2) for n in (1, 2, 3, 4)
    ]
    raw.write(arriving(ticks))


@pytest.mark.production_only
@pytest.mark.django_db
def test_samples_are_a_hypertable_whose_key_is_kept() -> None:
    write_two_days()

    chunks = rows(
        "SELECT range_end - range_start <= interval '1 day' FROM"
        " timescaledb_information.chunks WHERE hypertable_name = 'storage_sample'"
    )
    assert chunks == [(True,)] * 4
    assert rows(
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'storage_sample'"
    ) == [
        (
            "CREATE UNIQUE INDEX storage_sample_pkey ON public.storage_sample"
            ' USING btree (machine_id, "time", sequence)',
        )
    ]
    with pytest.raises(IntegrityError):
        Sample.objects.bulk_create([Sample.objects.order_by("sequence")[2]])


@pytest.mark.production_only
@pytest.mark.django_db(transaction=True)
def test_only_what_the_apache_licence_has_is_used() -> None:
    [(licence,)] = rows("SELECT current_setting('timescaledb.license')")

    assert licence == "apache"


@pytest.mark.django_db(transaction=True)
def test_migrations_go_back_to_nothing_and_forth_again() -> None:
    call_command("migrate", "storage", "zero", verbosity=0)
    gone = connection.introspection.table_names(include_views=True)
    call_command("migrate", "storage", verbosity=0)

    assert not [name for name in gone if name.startswith("storage_")]
    assert "metric_points" not in gone
    assert is_hypertable() == (connection.vendor == "postgresql")
    write_two_days()
    assert rows("SELECT count(*) FROM metric_points") == [(4,)]


@pytest.mark.production_only
@pytest.mark.django_db(transaction=True)
def test_plain_postgresql_keeps_a_plain_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call_command("migrate", "storage", "zero", verbosity=0)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(operations, "timescale_is_available", lambda editor: False)
        call_command("migrate", "storage", verbosity=0)
    try:
        assert not is_hypertable()
        write_two_days()
        assert Sample.objects.count() == 4
        with pytest.raises(IntegrityError):
            Sample.objects.bulk_create([Sample.objects.all()[0]])
    finally:
        call_command("migrate", "storage", "zero", verbosity=0)
        call_command("migrate", "storage", verbosity=0)


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", "machines", "storage", check=True, dry_run=True)
