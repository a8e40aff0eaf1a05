from __future__ import annotations

from hub.ingest.told import MAX_RUNS, Told
from hub.storage.sample import StoredSample

EPOCH, OTHER = b"e" * 16, b"n" * 16


def stored(*sequences: int, machine: int = 1) -> list[StoredSample]:
    return [StoredSample(machine, 1, n, 0, 0, b"") for n in sequences]


def test_what_was_told_is_no_news_when_it_is_stored() -> None:
    told = Told()
    for number in (4, 5, 9):
        assert told.add(1, EPOCH, number)

    news = told.news(stored(3, 4, 5, 6, 9, 10))

    assert [sample.sequence for sample in news] == [3, 6, 10]
    assert not told


def test_a_number_is_told_once() -> None:
    told = Told()

    assert [told.add(1, EPOCH, n) for n in (4, 5, 4, 5, 6)] == [1, 1, 0, 0, 1]


def test_half_of_a_run_may_be_stored() -> None:
    told = Told()
    for number in range(1, 11):
        told.add(1, EPOCH, number)

    assert told.news(stored(1, 2, 3)) == []
    assert told.news(stored(4, 5)) == []
    assert told


def test_machines_are_apart() -> None:
    told = Told()
    told.add(1, EPOCH, 4)

    assert told.news(stored(4, machine=2)) == stored(4, machine=2)


def test_a_new_spool_starts_anew() -> None:
    told = Told()
    told.add(1, EPOCH, 4)

    assert told.add(1, OTHER, 4)


def test_a_machine_takes_little_room() -> None:
    told = Told()
    for number in range(1, 4 * MAX_RUNS, 2):
        told.add(1, EPOCH, number)

    assert len(told._runs[1][1]) == MAX_RUNS
