from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hub.ingest.isolate import Isolator, Outcome, numbered
from hub.ingest.learner import Learner
from hub.ingest.lookups import Lookups
from hub.storage import layouts, provisional
from hub.storage.database import DatabaseDown
from hub.storage.hot import set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.layouts import LayoutInfo, SeriesInfo
from hub.storage.raw import Incoming, Written
from hub.storage.sample import StoredSample
from hub.testing.patience import until

LIST = [SeriesInfo("system.cpu.utilization", "1", "gauge", "")]
EPOCH = bytes(16)


class Store:
    """Stands where the database is, which is away until it is let back."""

    def __init__(self) -> None:
        self.is_away = True
        self.asked = 0

    def learn(self, series: Sequence[SeriesInfo]) -> LayoutInfo:
        self.asked += 1
        if self.is_away:
            raise DatabaseDown("away")
        return LayoutInfo(7, tuple(series))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()
    monkeypatch.setattr(layouts, "learn", made.learn)
    set_hot(MemoryHot())
    return made


class Straight(Lookups):
    """Asks without threads and without a pause after a failure."""

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


def learner(turns: asyncio.Semaphore) -> Learner:
    async def sleep(_: float) -> None:
        await turns.acquire()

    return Learner(Straight(), is_away=lambda: False, sleep=sleep)


def incoming(layout: int) -> Incoming:
    return Incoming(StoredSample(1, layout, 1, 1000, 1000, bytes(4)), EPOCH)


async def test_a_layout_is_placed_for_all_streams_and_mended_when_it_is_stored(
    store: Store,
) -> None:
    turns = asyncio.Semaphore(0)
    learning = learner(turns)
    known, another = [await learning.learn(LIST) for _ in range(2)]
    placed = known.id

    turns.release()
    await asyncio.sleep(0.01)
    assert known.id == placed < 0
    store.is_away = False
    turns.release()
    await until(lambda: (known.id, another.id) == (7, 7))

    # What was queued under the number for now is written under the row's.
    assert [i.sample.layout for i in numbered([incoming(placed), incoming(5)])] == [
        7,
        5,
    ]
    learning.close()


async def test_a_sample_that_waits_is_numbered_even_before_its_layout_is_mended(
    store: Store,
) -> None:
    learning = learner(asyncio.Semaphore(0))
    placed = (await learning.learn(LIST)).id

    with pytest.raises(DatabaseDown):
        numbered([incoming(placed)])
    store.is_away = False

    assert [i.sample.layout for i in numbered([incoming(placed)])] == [7]
    learning.close()


def test_the_writer_is_given_the_numbers_of_rows_and_so_is_the_grave(
    store: Store,
) -> None:
    placed = provisional.place(LIST).id
    store.is_away = False
    buried: list[Incoming] = []

    def write(batch: Sequence[Incoming], _: object) -> Written:
        assert [one.sample.layout for one in batch] == [7]
        raise ValueError("not this one")

    isolator = Isolator(write, lambda one, _: buried.append(one), sleep=lambda _: None)
    isolator.store([incoming(placed)], outcome := Outcome())

    assert [one.sample.layout for one in buried] == [7]
    assert str(outcome.buried[0][1]) == "not this one"


async def test_a_database_that_is_known_to_be_away_is_not_asked(store: Store) -> None:
    learning = Learner(Straight(), is_away=lambda: True, sleep=asyncio.sleep)

    assert (await learning.learn(LIST)).id < 0

    assert store.asked == 0
    learning.close()


async def test_a_layout_without_a_place_waits_for_the_database(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisional, "MAX_SERIES", 0)

    with pytest.raises(DatabaseDown):
        await learner(asyncio.Semaphore(0)).learn(LIST)
