from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import NotSupportedError, connection
from django.test.utils import CaptureQueriesContext

from hub.machines.models import Machine
from hub.storage import chunks, layouts, raw, tasks
from hub.storage.models import Sample
from hub.storage.rollup import roll_up
from hub.storage.tests.conftest import arriving, sample, series
from hub.storage.tiers import HOUR, MINUTE, RAW, TIERS

pytestmark = [pytest.mark.production_only, pytest.mark.django_db(transaction=True)]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHUNK = timedelta(hours=2)


def rows(query: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def fill(machines: int, ticks: int) -> None:
    """Store ticks of a minute, machine beside machine, as they come."""
    known = layouts.learn([series(str(n)) for n in range(60)])
    Machine.objects.bulk_create(
        [Machine(machine_id=f"web-{n}") for n in range(machines)]
    )
    pks = list(Machine.objects.values_list("pk", flat=True))
    values = np.random.default_rng(1).random(60).tolist()
    for n in range(ticks):
        raw.write(
            arriving([sample(pk, known.id, n + 1, *values, at_s=60 * n) for pk in pks])
        )


def test_the_next_chunk_is_there_before_its_time() -> None:
    fill(1, 1)

    assert chunks.prepare(RAW, NOON)
    assert not chunks.prepare(RAW, NOON)

    known = chunks.chunks(RAW)
    assert [(chunk.start, chunk.end) for chunk in known] == [
        (NOON, NOON + CHUNK),
        (NOON + CHUNK, NOON + 2 * CHUNK),
    ]
    assert Sample.objects.count() == 1


def test_every_tier_gets_its_next_chunk() -> None:
    fill(1, 2)
    roll_up(NOON + timedelta(hours=2))

    tasks.tend_chunks()

    now = datetime.now(UTC)
    for tier in TIERS:
        last = chunks.chunks(tier)[-1]
        assert last.end > now, tier
    assert not chunks.prepare(MINUTE, now)
    assert not chunks.prepare(HOUR, now)


def test_a_closed_chunk_is_packed_once_and_stays_whole() -> None:
    fill(300, 30)
    [chunk] = chunks.chunks(RAW)
    before = chunks._size(chunk)

    chunks.tend(NOON + CHUNK + timedelta(minutes=29))
    assert not any(chunk.is_packed for chunk in chunks.chunks(RAW))
    chunks.tend(NOON + CHUNK + timedelta(minutes=30))

    packed = chunks.chunks(RAW)[0]
    assert packed.is_packed
    # An entry takes 36 bytes, and a tree of them little more.
    assert chunks._size(packed) < min(before, 9000 * 36 * 1.1)
    assert Sample.objects.count() == 9000
    assert rows(
        "SELECT count(*) FROM pg_index i WHERE i.indrelid = %s::regclass"
        " AND i.indisvalid",
        packed.name,
    ) == [(1,)]
    assert rows(
        "SELECT reltuples FROM pg_class WHERE oid = %s::regclass", packed.name
    ) == [(9000,)]
    assert chunks._to_pack(RAW, NOON + CHUNK + timedelta(minutes=40)) == []


def test_what_an_interrupted_packing_left_is_cleared_away() -> None:
    fill(1, 1)
    [chunk] = chunks.chunks(RAW)
    schema, _, table = chunk.name.partition(".")
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX {table}_ccnew ON {chunk.name} (time)")
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [f"{schema}.{table}_ccnew"],
        )

    chunks.pack(chunk)

    assert rows(
        "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass", chunk.name
    ) == [(1,)]


def test_the_limit_on_statements_is_as_before() -> None:
    fill(1, 1)
    before = rows("SHOW statement_timeout")

    chunks.pack(chunks.chunks(RAW)[0])

    assert rows("SHOW statement_timeout") == before


def test_compression_is_left_alone_where_the_licence_has_none() -> None:
    fill(1, 1)

    assert not chunks.may_compress()
    chunks.tend(NOON + timedelta(days=30))

    assert not any(chunk.is_compressed for chunk in chunks.chunks(RAW))


def test_a_server_that_has_no_compression_after_all_keeps_its_rows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(1, 60)
    roll_up(NOON + timedelta(hours=2))
    # What a Community edition says; this server then refuses by itself.
    monkeypatch.setattr(chunks, "may_compress", lambda: True)

    chunks.tend(NOON + timedelta(days=30))

    said = [one for one in caplog.records if "not_compressed" in str(one.msg)]
    assert len(said) == 1
    assert not any(chunk.is_compressed for chunk in chunks.chunks(MINUTE))


def test_how_to_compress_is_said_before_the_first_chunk_alone() -> None:
    fill(1, 2)
    roll_up(NOON + timedelta(hours=2))
    chunks.prepare(MINUTE, NOON)

    assert "timescaledb.compress_segmentby" in asked_to_compress()
    # As a compressed chunk is noted; this server cannot make one.
    rows(
        "UPDATE _timescaledb_catalog.chunk SET status = 1"
        " WHERE format('%%I.%%I', schema_name, table_name) = %s RETURNING id",
        chunks.chunks(MINUTE)[0].name,
    )
    try:
        assert "SELECT compress_chunk" in asked_to_compress()
    finally:
        rows("UPDATE _timescaledb_catalog.chunk SET status = 0 RETURNING id")


def asked_to_compress() -> str:
    """Return what this server, which cannot, was asked for."""
    with CaptureQueriesContext(connection) as asked, pytest.raises(NotSupportedError):
        chunks.compress(MINUTE, NOON + timedelta(days=30))
    [said] = [
        query["sql"]
        for query in asked
        if query["sql"].startswith(("ALTER TABLE", "SELECT compress_chunk"))
    ]
    return said


def test_analyze_does_not_look_into_vectors() -> None:
    fill(1, 1)
    chunks.prepare(RAW, NOON)

    assert rows(
        "SELECT DISTINCT attstattarget FROM pg_attribute WHERE attname = 'values'"
        " AND (attrelid = 'storage_sample'::regclass"
        " OR attrelid::regclass::text LIKE '%%_hyper_%%_chunk')"
    ) == [(0,)]
