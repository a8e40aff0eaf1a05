from __future__ import annotations

import pytest
from django.db import IntegrityError

from hub.machines.models import Machine
from hub.storage import raw
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Cursor, Sample
from hub.storage.tests.conftest import EPOCH, NOON_MS, arriving, sample, vector

NEW_EPOCH = b"n" * 16


def stored() -> list[tuple[int, int]]:
    rows = Sample.objects.order_by("machine_id", "time", "sequence")
    return list(rows.values_list("machine_id", "sequence"))


def test_what_is_written_can_be_read_back(machine: Machine, layout: LayoutInfo) -> None:
    tick = sample(machine.pk, layout.id, 7, 0.25, -1.5e10, at_s=0.123, late_ms=40)

    written = raw.write(arriving([tick]))

    assert written.stored == [tick]
    assert written.cursors == {machine.pk: 7}
    [row] = Sample.objects.all()
    assert (row.machine_id, row.layout_id, row.sequence) == (machine.pk, layout.id, 7)
    assert row.time.timestamp() * 1000 == NOON_MS + 123
    assert (row.delay_ms, row.values) == (40, vector(0.25, -1.5e10))
    cursor = Cursor.objects.get(machine=machine)
    assert (bytes(cursor.spool_epoch), cursor.sequence) == (EPOCH, 7)
    assert cursor.time == row.time
    assert cursor.received.timestamp() * 1000 == NOON_MS + 163


def test_a_repeat_is_not_stored_twice(machine: Machine, layout: LayoutInfo) -> None:
    ticks = [sample(machine.pk, layout.id, n, 1, 2, at_s=n) for n in (1, 2, 3)]
    raw.write(arriving(ticks[:2]))

    written = raw.write(arriving(ticks))

    assert written.stored == ticks[2:]
    assert written.duplicates == 2
    assert written.cursors == {machine.pk: 3}
    assert stored() == [(machine.pk, 1), (machine.pk, 2), (machine.pk, 3)]


def test_a_repeat_within_one_batch_is_not_stored_twice(
    machine: Machine, layout: LayoutInfo
) -> None:
    tick = sample(machine.pk, layout.id, 1, 1, 2)

    written = raw.write(arriving([tick, tick]))

    assert (written.stored, written.duplicates) == ([tick], 1)


def test_a_batch_of_repeats_still_says_how_far_we_are(
    machine: Machine, layout: LayoutInfo
) -> None:
    ticks = [sample(machine.pk, layout.id, n, 1, 2, at_s=n) for n in (1, 2)]
    raw.write(arriving(ticks))

    written = raw.write(arriving(ticks[:1]))

    assert (written.stored, written.duplicates) == ([], 1)
    assert written.cursors == {machine.pk: 2}


def test_a_clock_that_steps_back_loses_nothing(
    machine: Machine, layout: LayoutInfo
) -> None:
    first = sample(machine.pk, layout.id, 1, 1, 2, at_s=10)
    second = sample(machine.pk, layout.id, 2, 1, 2, at_s=10)
    third = sample(machine.pk, layout.id, 3, 1, 2, at_s=0)

    written = raw.write(arriving([first, second, third]))

    assert len(written.stored) == 3
    assert stored() == [(machine.pk, 3), (machine.pk, 1), (machine.pk, 2)]


def test_a_new_epoch_starts_at_its_own_sequence(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(arriving([sample(machine.pk, layout.id, 900, 1, 2)]))
    after = sample(machine.pk, layout.id, 1, 1, 2, at_s=5)

    written = raw.write(arriving([after], NEW_EPOCH))

    assert written.stored == [after]
    assert raw.cursor(machine.pk, NEW_EPOCH) == 1
    assert raw.cursor(machine.pk, EPOCH) == 900


def test_a_hole_that_was_evicted_is_stepped_over(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(arriving([sample(machine.pk, layout.id, 1, 1, 2)]))

    written = raw.write(arriving([sample(machine.pk, layout.id, 5, 1, 2, at_s=9)]))

    assert written.cursors == {machine.pk: 5}


def test_vectors_of_several_lengths_go_in_one_batch(
    machine: Machine, layout: LayoutInfo
) -> None:
    ticks = [
        sample(machine.pk, layout.id, 1, 1, 2, at_s=1),
        sample(machine.pk, layout.id, 2, 3, at_s=2),
        sample(machine.pk, layout.id, 3, 4, 5, 6, at_s=3),
    ]

    raw.write(arriving(ticks))

    rows = Sample.objects.order_by("sequence").values_list("values", flat=True)
    assert list(rows) == [vector(1, 2), vector(3), vector(4, 5, 6)]


def test_a_machine_that_was_deleted_holds_nobody_up(
    machine: Machine, layout: LayoutInfo
) -> None:
    mine = sample(machine.pk, layout.id, 1, 1, 2)
    lost = sample(machine.pk + 999, layout.id, 1, 1, 2)

    written = raw.write(arriving([lost, mine]))

    assert written.stored == [mine]
    assert written.gone == {machine.pk + 999}
    assert written.duplicates == 0
    assert written.cursors == {machine.pk: 1}


def test_the_key_refuses_a_double(machine: Machine, layout: LayoutInfo) -> None:
    raw.write(arriving([sample(machine.pk, layout.id, 1, 1, 2)]))
    row = Sample.objects.get()

    with pytest.raises(IntegrityError):
        Sample.objects.bulk_create([row])


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_there_without_its_cursor_holds_nobody_up(
    machine: Machine, layout: LayoutInfo
) -> None:
    old = sample(machine.pk, layout.id, 1, 1, 2)
    raw.write(arriving([old]))
    Cursor.objects.all().delete()
    new = sample(machine.pk, layout.id, 2, 1, 2, at_s=5)

    written = raw.write(arriving([old, new]))

    assert (written.stored, written.duplicates) == ([new], 1)
    assert stored() == [(machine.pk, 1), (machine.pk, 2)]
    assert raw.cursor(machine.pk, EPOCH) == 2
