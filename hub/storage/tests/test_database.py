from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from django.db import (
    DatabaseError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from hub.machines.models import Machine
from hub.storage import layouts, raw, states
from hub.storage.database import DatabaseDown, guard
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Cursor, Sample
from hub.storage.raw import Incoming
from hub.storage.tests.conftest import EPOCH, NOON_MS, arriving, sample, series

pytestmark = pytest.mark.django_db(transaction=True)


def ticks(machine: Machine, layout: LayoutInfo, *numbers: int) -> list[Incoming]:
    return arriving([sample(machine.pk, layout.id, n, 1, 2, at_s=n) for n in numbers])


def kill_own_backend() -> None:
    """End this thread's server process from another connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()

    def kill() -> None:
        with connection.cursor() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        connection.close()

    killer = threading.Thread(target=kill)
    killer.start()
    killer.join(10)


@pytest.mark.production_only
def test_a_killed_connection_is_down_once_and_then_made_anew(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(ticks(machine, layout, 1))
    kill_own_backend()

    with pytest.raises(DatabaseDown):
        raw.write(ticks(machine, layout, 2))

    assert raw.write(ticks(machine, layout, 2)).cursors == {machine.pk: 2}
    assert Sample.objects.count() == 2


@pytest.mark.production_only
@pytest.mark.parametrize("what", ["cursor", "learn", "get", "states"])
def test_every_way_to_the_database_comes_back(
    machine: Machine, layout: LayoutInfo, what: str
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "cursor": lambda: raw.cursor(machine.pk, EPOCH),
        "learn": lambda: layouts.learn([series("new")]),
        "get": lambda: layouts.get(layout.id),
        "states": lambda: states.latest([machine]),
    }
    layouts.forget_all()
    kill_own_backend()

    with pytest.raises(DatabaseDown):
        calls[what]()

    calls[what]()


@pytest.mark.production_only
def test_fresh_samples_are_told_while_the_database_is_away(
    machine: Machine, layout: LayoutInfo
) -> None:
    other = Machine.objects.create(machine_id="web-2")
    hot = MemoryHot(clock=lambda: NOON_MS / 1000)
    set_hot(hot)
    fresh = sample(machine.pk, layout.id, 1, 1, 2)
    hot.put([fresh])

    for asked in ([machine, other], None):
        kill_own_backend()
        assert states.latest(asked) == {machine.pk: fresh}


@pytest.mark.production_only
def test_a_deadlock_is_tried_again(machine: Machine, layout: LayoutInfo) -> None:
    other = Machine.objects.create(machine_id="web-2")
    raw.write(ticks(machine, layout, 1) + ticks(other, layout, 1))
    holds_last, may_go_on = threading.Event(), threading.Event()

    # Takes the two cursors in the wrong order, so one of us must be refused.
    def meddle() -> None:
        lock = "SELECT 1 FROM storage_cursor WHERE machine_id = %s FOR UPDATE"
        try:
            with connection.cursor() as cursor:
                # The server notices a deadlock when the waiting one's time is up.
                cursor.execute("SET deadlock_timeout = '30s'")
                cursor.execute("BEGIN")
                cursor.execute(lock, [other.pk])
                holds_last.set()
                may_go_on.wait(10)
                cursor.execute(lock, [machine.pk])
                cursor.execute("COMMIT")
                cursor.execute("RESET deadlock_timeout")
        finally:
            connection.close()

    meddler = threading.Thread(target=meddle)
    meddler.start()
    holds_last.wait(10)
    pauses: list[float] = []
    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '100ms'")
    threading.Timer(0.05, may_go_on.set).start()

    batch = ticks(machine, layout, 2) + ticks(other, layout, 2)
    written = raw.write(batch, sleep=pauses.append)

    meddler.join(10)
    with connection.cursor() as cursor:
        cursor.execute("RESET deadlock_timeout")
    assert len(written.stored) == 2
    assert len(pauses) == 1


@pytest.mark.production_only
def test_two_writers_store_each_sample_once(
    machine: Machine, layout: LayoutInfo
) -> None:
    batches = [ticks(machine, layout, *range(n, n + 20)) for n in range(1, 100, 10)]
    failures: list[BaseException] = []

    def write_all() -> None:
        try:
            for batch in batches:
                raw.write(batch)
        except BaseException as failure:  # noqa: BLE001 - told to the test
            failures.append(failure)
        finally:
            connection.close()

    writers = [threading.Thread(target=write_all) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    assert failures == []
    sequences = Sample.objects.order_by("sequence").values_list("sequence", flat=True)
    assert list(sequences) == list(range(1, 111))


@pytest.mark.production_only
def test_a_writer_waits_for_the_cursor_and_believes_it(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(ticks(machine, layout, 1))
    holds, may_go_on = threading.Event(), threading.Event()

    def store_up_to_five() -> None:
        try:
            with transaction.atomic():
                Cursor.objects.select_for_update().get(machine=machine)
                holds.set()
                may_go_on.wait(10)
                Cursor.objects.filter(machine=machine).update(sequence=5)
        finally:
            connection.close()

    other = threading.Thread(target=store_up_to_five)
    other.start()
    holds.wait(10)
    threading.Timer(0.2, may_go_on.set).start()
    written = raw.write(ticks(machine, layout, 4, 5, 6))
    other.join(10)

    assert [stored.sequence for stored in written.stored] == [6]
    assert written.duplicates == 2


@contextmanager
def sqlite_is_held() -> Iterator[None]:
    """Hold the write lock as another process would."""
    name = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.embedded_only
def test_a_locked_sqlite_is_down_for_the_moment(
    machine: Machine, layout: LayoutInfo
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")

    with sqlite_is_held(), pytest.raises(DatabaseDown, match="locked"):
        raw.write(ticks(machine, layout, 1))

    assert raw.write(ticks(machine, layout, 1)).cursors == {machine.pk: 1}


def test_a_fault_is_not_called_temporary(machine: Machine) -> None:
    with pytest.raises((ProgrammingError, OperationalError)), guard():
        Machine.objects.raw("SELECT * FROM nowhere")[0]


def test_other_errors_pass_through() -> None:
    with pytest.raises(KeyError), guard():
        raise KeyError("mine")
    with pytest.raises(DatabaseError), guard():
        raise DatabaseError("not known to pass")
