from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from hub.machines.models import Machine
from hub.storage import raw, states
from hub.storage.hot import HotDown, set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Sample
from hub.storage.processes import Snapshot
from hub.storage.sample import StoredSample
from hub.storage.tests.conftest import NOON_MS, arriving, sample
from hub.storage.trail import Trail


class BrokenHot:
    """A store that never answers."""

    def put(self, samples: Sequence[StoredSample]) -> None:
        raise HotDown("no answer")

    def latest(self, pks: Iterable[int] | None = None) -> dict[int, StoredSample]:
        raise HotDown("no answer")

    def recent(self, pk: int) -> list[StoredSample]:
        raise HotDown("no answer")

    def trails(self, pks: Sequence[int]) -> Mapping[int, Trail]:
        raise HotDown("no answer")

    def put_processes(self, snapshot: Snapshot) -> None:
        raise HotDown("no answer")

    def processes(self, pk: int) -> list[Snapshot]:
        raise HotDown("no answer")

    def put_layout(self, number: int, description: bytes) -> bytes:
        raise HotDown("no answer")

    def layout(self, number: int) -> bytes | None:
        raise HotDown("no answer")

    def ready(self) -> None:
        raise HotDown("no answer")


def test_the_database_knows_what_hot_state_lost(
    machine: Machine, layout: LayoutInfo
) -> None:
    old = sample(machine.pk, layout.id, 1, 0.1, 0.2, at_s=0)
    new = sample(machine.pk, layout.id, 2, 0.3, 0.4, at_s=5.001, late_ms=-250)
    raw.write(arriving([old, new]))

    assert states.latest() == {machine.pk: new}
    assert states.latest([machine]) == {machine.pk: new}


def test_the_database_is_asked_when_hot_state_is_down(
    machine: Machine, layout: LayoutInfo
) -> None:
    set_hot(BrokenHot())
    tick = sample(machine.pk, layout.id, 1, 0.1, 0.2)
    raw.write(arriving([tick]))

    assert states.latest() == {machine.pk: tick}


def test_hot_state_comes_first(machine: Machine, layout: LayoutInfo) -> None:
    hot = MemoryHot(clock=lambda: NOON_MS / 1000)
    set_hot(hot)
    raw.write(arriving([sample(machine.pk, layout.id, 1, 0.1, 0.2)]))
    # Not yet stored, as when the database is away.
    newer = sample(machine.pk, layout.id, 2, 0.3, 0.4, at_s=5)
    hot.put([newer])

    assert states.latest([machine]) == {machine.pk: newer}


def test_a_machine_without_samples_is_absent(
    machine: Machine, layout: LayoutInfo
) -> None:
    other = Machine.objects.create(machine_id="web-2")
    tick = sample(other.pk, layout.id, 1, 0.1, 0.2)
    raw.write(arriving([tick]))

    assert states.latest() == {other.pk: tick}
    assert states.latest([machine]) == {}
    assert states.latest([]) == {}


def test_a_machine_that_fell_silent_long_ago_is_found_beside_the_living(
    machine: Machine, layout: LayoutInfo
) -> None:
    silent = Machine.objects.create(machine_id="web-2")
    old = sample(silent.pk, layout.id, 1, 0.1, 0.2, at_s=-20 * 3600)
    new = sample(machine.pk, layout.id, 1, 0.3, 0.4)
    raw.write(arriving([old, new]))

    assert states.latest() == {silent.pk: old, machine.pk: new}


def test_a_machine_whose_last_sample_expired_is_absent(
    machine: Machine, layout: LayoutInfo
) -> None:
    raw.write(arriving([sample(machine.pk, layout.id, 1, 0.1, 0.2)]))
    Sample.objects.all().delete()

    assert states.latest() == {}


@pytest.mark.django_db
def test_nobody_is_nothing() -> None:
    assert states.latest() == {}
