"""What every spool must keep to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sysmonstm_agent.layout import Layout, Sample
from sysmonstm_agent.memory_spool import OVERHEAD_BYTES, MemorySpool
from sysmonstm_agent.spool import Spool
from sysmonstm_proto import limits

from tests.spools import disk_spool

LAYOUT = Layout(())
# Room for how many samples of `sample()`.
CAPACITY = 10


def sample(number: int) -> Sample:
    return Sample(1_700_000_000_000 + number, LAYOUT, number.to_bytes(4, "little"))


def memory(folder: Path) -> Spool:
    return MemorySpool(capacity_bytes=CAPACITY * (4 + OVERHEAD_BYTES))


def disk(folder: Path) -> Spool:
    return disk_spool(folder, samples=CAPACITY)


def disk_in_trouble(folder: Path) -> Spool:
    """One that never could write, and so lives in memory."""
    (folder / "spool").write_text("a file where the folder would be")
    return disk_spool(
        folder / "spool",
        samples=CAPACITY,
        memory_capacity_bytes=CAPACITY * (4 + OVERHEAD_BYTES),
    )


# A new implementation joins here.
@pytest.fixture(params=[memory, disk, disk_in_trouble])
def make(request: pytest.FixtureRequest) -> Callable[[Path], Spool]:
    made: Callable[[Path], Spool] = request.param
    return made


@pytest.fixture
def spool(make: Callable[[Path], Spool], tmp_path: Path) -> Iterator[Spool]:
    made = make(tmp_path)
    yield made
    made.close()


def fill(spool: Spool, count: int) -> None:
    for number in range(1, count + 1):
        spool.append(sample(number))


def held(spool: Spool) -> list[int]:
    return [sequence for sequence, _ in spool.read(0, 1_000)]


def test_an_empty_spool(spool: Spool) -> None:
    assert (spool.oldest, spool.last, spool.produced, spool.evicted) == (0, 0, 0, 0)
    assert spool.read(0, 10) == []
    assert len(spool.epoch) == limits.SPOOL_EPOCH_BYTES


def test_samples_are_numbered_from_1_and_read_in_order(spool: Spool) -> None:
    assert [spool.append(sample(n)) for n in (1, 2, 3)] == [1, 2, 3]

    assert spool.read(0, 10) == [(1, sample(1)), (2, sample(2)), (3, sample(3))]
    assert (spool.oldest, spool.last, spool.produced) == (1, 3, 3)


def test_reading_takes_nothing_away_and_keeps_to_its_limit(spool: Spool) -> None:
    fill(spool, 5)

    assert spool.read(2, 2) == [(3, sample(3)), (4, sample(4))]
    assert spool.read(2, 2) == [(3, sample(3)), (4, sample(4))]
    assert spool.read(5, 2) == []
    assert spool.read(99, 2) == []


def test_what_is_forgotten_is_gone_and_numbers_go_on(spool: Spool) -> None:
    fill(spool, 4)

    spool.forget(3)

    assert held(spool) == [4]
    assert spool.oldest == 4
    spool.forget(4)
    assert (spool.oldest, spool.last) == (0, 4)
    assert spool.append(sample(5)) == 5
    assert held(spool) == [5]


def test_forgetting_twice_or_nothing_is_harmless(spool: Spool) -> None:
    fill(spool, 3)

    for up_to in (2, 2, 0):
        spool.forget(up_to)

    assert held(spool) == [3]


def test_forgetting_what_was_never_there_keeps_what_comes(spool: Spool) -> None:
    fill(spool, 2)

    spool.forget(50)

    assert spool.append(sample(3)) == 3
    assert held(spool) == [3]


def test_a_full_spool_evicts_the_oldest_and_counts(spool: Spool) -> None:
    fill(spool, CAPACITY + 3)

    assert held(spool) == list(range(4, CAPACITY + 4))
    assert (spool.produced, spool.evicted, spool.oldest) == (CAPACITY + 3, 3, 4)
    # Asked from before the hole, it goes on after it.
    assert spool.read(1, 1) == [(4, sample(4))]


def test_everything_produced_is_accounted_for(spool: Spool) -> None:
    fill(spool, CAPACITY + 3)
    forgotten = len([n for n in held(spool) if n <= 6])

    spool.forget(6)

    assert spool.produced == forgotten + spool.evicted + len(held(spool))


def test_full_and_drained_are_one_event_each(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fill(spool, CAPACITY + 5)
    spool.forget(CAPACITY + 4)

    events = [record.message for record in caplog.records]
    assert events == ["spool.full", "spool.drained"]
    # And again, when it happens again.
    fill(spool, CAPACITY + 5)
    assert [record.message for record in caplog.records][2:] == ["spool.full"]


def test_a_new_epoch_numbers_what_is_there_from_1(spool: Spool) -> None:
    fill(spool, 5)
    spool.forget(3)
    before = spool.epoch

    spool.renew()

    assert spool.epoch != before
    assert len(spool.epoch) == limits.SPOOL_EPOCH_BYTES
    assert spool.read(0, 10) == [(1, sample(4)), (2, sample(5))]
    assert (spool.oldest, spool.last, spool.produced, spool.evicted) == (1, 2, 2, 0)
    assert spool.append(sample(6)) == 3


def test_what_the_hub_may_rightly_have_is_what_was_handed_out(spool: Spool) -> None:
    fill(spool, 5)
    assert spool.handed_out == 0

    spool.read(0, 3)
    assert spool.handed_out == 3
    spool.read(0, 1)
    assert spool.handed_out == 3

    spool.renew()
    assert spool.handed_out == 0


def test_the_newest_is_seen_without_being_handed_out(spool: Spool) -> None:
    assert spool.newest() is None
    fill(spool, 3)

    assert spool.newest() == (3, sample(3))
    assert spool.handed_out == 0
    spool.forget(3)
    assert spool.newest() is None


def test_its_size_grows_with_what_is_in_it(spool: Spool) -> None:
    assert spool.size_bytes == 0
    fill(spool, 3)

    assert spool.size_bytes >= 3 * 4


def test_two_spools_have_different_epochs(
    make: Callable[[Path], Spool], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = make(tmp_path / "one"), make(tmp_path / "two")

    assert one.epoch != two.epoch
    one.close()
    two.close()


def test_one_sample_larger_than_the_spool_is_kept_until_the_next(
    tmp_path: Path,
) -> None:
    for small in (MemorySpool(capacity_bytes=1), disk_spool(tmp_path, samples=0)):
        fill(small, 2)

        assert held(small) == [2]
        assert small.evicted == 1
        small.close()
