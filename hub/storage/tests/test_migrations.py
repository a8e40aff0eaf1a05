from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection

from hub.machines.models import Machine
from hub.storage import binary, layouts, operations, raw
from hub.storage.database import DatabaseDown, guard
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
def test_samples_become_bytes_and_arrays_again_without_a_bit_lost() -> None:
    edges = [0.0, 1e-45, -123.456, 3.4028234e38, math.inf, -math.inf, math.nan]
    layouts.forget_all()
    machine = Machine.objects.create(machine_id="web-1")
    layout = layouts.learn([series(f"m{n}") for n in range(len(edges))])
    ticks = [
        sample(machine.pk, layout.id, n, *edges[n:], *edges[:n], at_s=n * DAY_S / 2)
        for n in range(1, 5)
    ]
    raw.write(arriving(ticks))
    points = "SELECT time, metric, value FROM metric_points ORDER BY time, metric"
    before = rows(points)

    call_command("migrate", "storage", "0006", verbosity=0)
    as_arrays = rows(points)
    [(middle,)] = rows('SELECT "values" FROM storage_sample ORDER BY time LIMIT 1')
    call_command("migrate", "storage", verbosity=0)

    assert len(before) == len(ticks) * (len(edges) - 1)
    assert as_arrays == before
    assert np.array(middle, "<f4").tobytes() == ticks[0].values
    assert rows(points) == before
    kept = Sample.objects.order_by("time").values_list("values", flat=True)
    assert list(kept) == [tick.values for tick in ticks]
    # Chunks take this over.
    assert rows(
        "SELECT attstattarget FROM pg_attribute"
        " WHERE attrelid = 'storage_sample'::regclass AND attname = 'values'"
    ) == [(0,)]


@pytest.mark.production_only
@pytest.mark.django_db
def test_a_hub_of_before_waits_instead_of_storing_arrays_as_bytes() -> None:
    scalars = (
        ("time", ">i8"),
        ("sequence", ">i8"),
        ("machine", ">i4"),
        ("layout", ">i4"),
        ("delay_ms", ">i4"),
    )
    row = binary.blank(1, scalars, ("values",), 60).tobytes()
    columns = "time, sequence, machine_id, layout_id, delay_ms, values"

    with (
        pytest.raises(DatabaseDown, match="start the new version"),
        guard(),
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY storage_sample ({columns}) FROM STDIN BINARY") as copy,
    ):
        copy.write(b"".join([binary.SIGNATURE, row, binary.TRAILER]))


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
