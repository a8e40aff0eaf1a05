"""An embedded history is copied into this store, however often it is interrupted.

machines, layouts → watermarks → hours, minutes, raw → cursors → counted

Rows go in the order in which SQLite numbers them. How far a table has come is
stored with its rows, so a copy that is killed goes on where it was, and one that
is repeated copies nothing twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models import DateTimeField, Model
from django.utils import timezone

from hub.machines.models import Machine, Tag
from hub.storage import buckets, late, layouts, raw_postgres
from hub.storage.buckets import Buckets
from hub.storage.database import guard
from hub.storage.fold import Folded, Matrix
from hub.storage.layouts import SeriesInfo
from hub.storage.models import Copied, Cursor, Watermark
from hub.storage.sample import StoredSample
from hub.storage.source import Source
from hub.storage.tiers import HOUR, MINUTE, RAW, TIERS, Tier, to_ms, watermarks

BATCH = 2_000

_RAW = 'time, machine_id, layout_id, sequence, delay_ms, "values"'
_BUCKET = 'time, machine_id, layout_id, "count", "min", "avg", "max"'

Told = Callable[[str, int, int], None]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What the source's numbers are here."""

    machines: Mapping[int, int]
    layouts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Missing:
    """A machine's rows that are not all here."""

    machine_id: str
    table: str
    there: int
    here: int


def copy(source: Source, *, batch: int = BATCH, told: Told) -> list[Missing]:
    """Copy everything that is not here yet; return what did not arrive.

    `told` hears a table's name, its rows so far and in all. Raises DatabaseDown.
    """
    with guard():
        known = Known(_machines(source), _layouts(source))
        _watermarks(source)
        for tier in (HOUR, MINUTE, RAW):
            _copy(source, tier, known, batch=batch, told=told)
        _cursors(source, known)
        return list(_missing(source, known))


def forget(source: Source) -> None:
    """Begin anew: rows that are here are found to be here."""
    Copied.objects.filter(source=source.name).delete()


def _machines(source: Source) -> dict[int, int]:
    columns = _columns(Machine)
    found = {}
    for row in source.rows(f"SELECT {', '.join(columns)} FROM machines_machine"):
        told = _told(Machine, columns, row)
        number, name = told.pop("id"), told.pop("machine_id")
        with transaction.atomic():
            here, is_new = Machine.objects.get_or_create(machine_id=name, defaults=told)
            if is_new:
                here.tags.set(_tags(source, number))
        found[number] = here.pk
    return found


def _tags(source: Source, machine: int) -> list[Tag]:
    return [
        Tag.objects.get_or_create(name=name)[0]
        for (name,) in source.rows(
            "SELECT t.name FROM machines_machine_tags m JOIN machines_tag t"
            " ON t.id = m.tag_id WHERE m.machine_id = ?",
            [machine],
        )
    ]


def _layouts(source: Source) -> dict[int, int]:
    series: dict[int, list[SeriesInfo]] = {
        number: [] for (number,) in source.rows("SELECT id FROM storage_layout")
    }
    for number, name, unit, kind, told, attributes in source.rows(
        "SELECT s.layout_id, m.name, m.unit, m.kind, m.help, s.attributes"
        " FROM storage_layoutseries s JOIN storage_metric m ON m.id = s.metric_id"
        " ORDER BY s.layout_id, s.position"
    ):
        pairs = tuple(sorted(json.loads(attributes).items()))
        series[number].append(SeriesInfo(name, unit, kind, told, pairs))
    return {number: layouts.learn(infos).id for number, infos in series.items()}


def _marks(source: Source) -> dict[str, Watermark]:
    fields = ("tier", "since", "until", "closing", "hold")
    found = {tier.name: Watermark(tier=tier.name) for tier in TIERS}
    for row in source.rows(f"SELECT {', '.join(fields)} FROM storage_watermark"):
        told = {
            name: text and _moment(text)
            for name, text in zip(fields[1:], row[1:], strict=True)
        }
        found[row[0]] = Watermark(tier=row[0], **told)
    return found


@transaction.atomic
def _watermarks(source: Source) -> None:
    """A store that has rolled up nothing goes on where the other stopped."""
    if not Watermark.objects.exists():
        Watermark.objects.bulk_create(_marks(source).values(), ignore_conflicts=True)


def _copy(source: Source, tier: Tier, known: Known, *, batch: int, told: Told) -> None:
    place, _ = Copied.objects.get_or_create(
        source=source.name, table=tier.table, defaults={"row": 0}
    )
    done = source.count(f"{tier.table} WHERE rowid <= ?", [place.row])
    total = source.count(tier.table)
    told(tier.table, done, total)
    # Minutes and samples from here on are not in an hour that was copied.
    whole_until = _marks(source)[HOUR.name].until
    columns = _RAW if tier is RAW else _BUCKET
    query = (
        f"SELECT rowid, {columns} FROM {tier.table}"
        " WHERE rowid > ? ORDER BY rowid LIMIT ?"
    )
    while rows := source.rows(query, [place.row, batch]):
        kept = [row for row in rows if row[2] in known.machines]
        kept = [row for row in kept if row[1] >= _first(source, tier)]
        with transaction.atomic():
            _, closing_ms = raw_postgres.lock([])
            samples = _write(tier, kept, known)
            if closing_ms is not None and whole_until is not None:
                from_ms = to_ms(whole_until)
                late.mark(s for s in samples if from_ms <= s.time_ms < closing_ms)
            place.row = rows[-1][0]
            place.save(update_fields=["row"])
        done += len(rows)
        told(tier.table, done, total)


def _first(source: Source, tier: Tier) -> str:
    """Return the moment, as SQLite has it, before which rows would expire at once."""
    kept = timezone.now() - tier.retention
    if tier is RAW:
        # What is not in a minute yet is wanted however old it is.
        kept = max(kept, watermarks()[RAW.name].since or kept)
        kept = min(kept, _marks(source)[MINUTE.name].until or kept)
    return str(kept.astimezone(UTC).replace(tzinfo=None))


def _write(tier: Tier, rows: Sequence[Row], known: Known) -> list[StoredSample]:
    """Store rows that are not there; return what would mark its minute when late."""
    if tier is RAW:
        samples = [_sample(row, known) for row in rows]
        if samples:
            raw_postgres.insert_missing(samples)
        return samples
    buckets.write(tier, _buckets(rows, known))
    if tier is HOUR:
        return []
    return [
        StoredSample(known.machines[row[2]], 0, 0, _ms(row[1]), 0, b"") for row in rows
    ]


def _sample(row: Row, known: Known) -> StoredSample:
    _, text, machine, layout, sequence, delay_ms, values = row
    at_ms = _ms(text)
    return StoredSample(
        known.machines[machine],
        known.layouts[layout],
        sequence,
        at_ms,
        at_ms + delay_ms,
        values,
    )


def _buckets(rows: Sequence[Row], known: Known) -> Iterator[Buckets]:
    by_layout: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_layout[row[3]].append(row)
    for layout, same in by_layout.items():
        _, moments, machines, _, *content = zip(*same, strict=True)
        yield Buckets(
            known.layouts[layout],
            np.array([known.machines[machine] for machine in machines], np.int64),
            np.array([_ms(text) for text in moments], np.int64),
            Folded(*(_matrix(column) for column in content)),
        )


def _matrix(column: Sequence[bytes]) -> Matrix:
    return np.frombuffer(b"".join(column), "<f4").reshape(len(column), -1)


def _cursors(source: Source, known: Known) -> None:
    """Agents that come here go on where they were; one that did has its own."""
    columns = _columns(Cursor)
    for row in source.rows(f"SELECT {', '.join(columns)} FROM storage_cursor"):
        told = _told(Cursor, columns, row)
        machine = known.machines.get(int(told.pop("machine_id")))
        if machine is not None:
            Cursor.objects.get_or_create(machine_id=machine, defaults=told)


def _missing(source: Source, known: Known) -> Iterator[Missing]:
    for tier in TIERS:
        # Rows that expired while the copy was made are missed by nobody.
        first = _first(source, tier)
        there = source.rows(
            f"SELECT machine_id, count(*), max(time) FROM {tier.table}"
            " WHERE time >= ? GROUP BY machine_id",
            [first],
        )
        for number, count, last in there:
            if (machine := known.machines.get(number)) is None:
                continue
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT count(*) FROM {tier.table} WHERE machine_id = %s"
                    " AND time >= %s AND time <= %s",
                    [machine, _moment(first), _moment(last)],
                )
                [here] = cursor.fetchone()
            if here < count:
                yield Missing(_name(machine), tier.table, count, here)


def _columns(model: type[Model]) -> list[str]:
    return [field.column for field in model._meta.concrete_fields if field.column]


def _told(model: type[Model], columns: Sequence[str], row: Row) -> dict[str, Any]:
    """Return a row by its columns, with times as Django has them."""
    times = {
        field.column
        for field in model._meta.concrete_fields
        if isinstance(field, DateTimeField)
    }
    return {
        name: _moment(value) if name in times and value else value
        for name, value in zip(columns, row, strict=True)
    }


def _name(machine: int) -> str:
    return Machine.objects.get(pk=machine).machine_id


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _ms(text: str) -> int:
    return to_ms(_moment(text))
