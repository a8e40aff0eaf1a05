from __future__ import annotations

from collections.abc import Sequence

import pytest

from hub.storage import layouts, provisional
from hub.storage.database import DatabaseDown
from hub.storage.hot import HotDown, get_hot, set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.layouts import SeriesInfo, UnknownLayout
from hub.storage.models import Layout
from hub.storage.provisional import NoPlace
from hub.storage.tests.conftest import series

LIST = [series("system.cpu.utilization"), series("disk", mount="/", kind="ext4")]


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(_: Sequence[SeriesInfo]) -> None:
        raise DatabaseDown

    monkeypatch.setattr(layouts, "learn", learn)


def test_a_layout_has_the_same_number_in_every_process_until_it_is_stored() -> None:
    placed = provisional.place(LIST)
    layouts.forget_all()
    provisional.forget_all()

    assert -(2**31) <= placed.id < 0
    assert provisional.place(LIST).id == placed.id
    assert provisional.place(LIST[:1]).id != placed.id


def test_another_process_reads_in_hot_state_what_it_says() -> None:
    placed = provisional.place(LIST)
    layouts.forget_all()

    assert layouts.get(placed.id) == placed
    with pytest.raises(UnknownLayout):
        layouts.get(placed.id + 1)


@pytest.mark.django_db
def test_it_is_stored_once_and_its_number_leads_there() -> None:
    placed = provisional.place(LIST)

    row = provisional.stored(placed.id)

    assert row > 0
    assert provisional.stored(placed.id) == row
    assert provisional.waiting() == []
    assert layouts.get(row).series == placed.series
    assert Layout.objects.count() == 1
    # The database goes away once more, and this process has forgotten the list.
    layouts.forget_all()
    assert provisional.place(LIST).id == row


def test_while_the_database_is_away_it_goes_on_waiting(away: None) -> None:
    placed = provisional.place(LIST)

    with pytest.raises(DatabaseDown):
        provisional.stored(placed.id)

    assert provisional.waiting() == [placed.id]


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provisional, "MAX_SERIES", 3)
    provisional.place(LIST)

    with pytest.raises(NoPlace):
        provisional.place([series("other"), series("another")])

    provisional.place(LIST)
    provisional.place([series("other")])


def test_a_number_is_never_given_to_two_layouts() -> None:
    number = provisional.number_of(layouts.described(LIST))
    get_hot().put_layout(number, b"another process's")

    with pytest.raises(NoPlace):
        provisional.place(LIST)

    assert not provisional.waiting()


def test_hot_state_that_was_away_hears_of_it_later() -> None:
    class Down(MemoryHot):
        def put_layout(self, number: int, description: bytes) -> bytes:
            raise HotDown("away")

    set_hot(Down())
    placed = provisional.place(LIST)
    set_hot(MemoryHot())
    layouts.forget_all()

    provisional.repeat()

    assert layouts.get(placed.id) == placed
