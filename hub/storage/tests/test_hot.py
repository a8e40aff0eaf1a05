"""One suite for every kind of hot state."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import pytest
from django.conf import settings

from hub.storage.hot import Hot, HotDown, get_hot, set_hot
from hub.storage.hot_memory import MemoryHot
from hub.storage.hot_redis import RedisHot
from hub.storage.hot_terms import LAYOUT_MS, PROCESSES_LIMIT, RECENT_LIMIT
from hub.storage.processes import Entry, Snapshot, nearest, pack, unpack
from hub.storage.sample import StoredSample
from hub.storage.tests.conftest import NOON_MS, sample
from hub.testing import services


class Clock:
    """Stands still until it is moved; starts at noon."""

    def __init__(self) -> None:
        self.now_s = NOON_MS / 1000

    def __call__(self) -> float:
        return self.now_s

    def move(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(
    params=["memory", pytest.param("redis", marks=pytest.mark.production_only)]
)
def hot(request: pytest.FixtureRequest, clock: Clock) -> Hot:
    if request.param == "memory":
        return MemoryHot(clock)
    prefix = f"hot-{uuid.uuid4().hex}:"
    return RedisHot(settings.REDIS_URL, prefix=prefix, clock=clock)


def tick(machine: int, at_s: float) -> StoredSample:
    return sample(machine, 3, int(at_s * 10) + 10_000, at_s, 0.5, at_s=at_s)


def test_the_latest_of_each_machine_is_found(hot: Hot) -> None:
    hot.put([tick(1, -10), tick(2, -10), tick(1, -5)])

    assert hot.latest() == {1: tick(1, -5), 2: tick(2, -10)}
    assert hot.latest([2, 9]) == {2: tick(2, -10)}
    assert hot.latest([]) == {}


def test_the_newest_by_time_stays_the_latest(hot: Hot) -> None:
    hot.put([tick(1, -5)])

    hot.put([tick(1, -10)])

    assert hot.latest([1]) == {1: tick(1, -5)}


def test_of_two_at_one_time_the_later_to_come_is_the_latest(hot: Hot) -> None:
    first, second = sample(1, 3, 1, 0.1), sample(1, 3, 2, 0.2)

    hot.put([first])
    hot.put([second])

    assert hot.latest([1]) == {1: second}
    assert hot.recent(1) == [first, second]


def test_the_last_five_minutes_come_in_order(hot: Hot) -> None:
    hot.put([tick(1, -60), tick(1, -20), tick(2, -20)])
    hot.put([tick(1, -40)])

    assert hot.recent(1) == [tick(1, -60), tick(1, -40), tick(1, -20)]
    assert hot.recent(9) == []


def test_what_is_older_than_five_minutes_is_left_out(hot: Hot) -> None:
    hot.put([tick(1, -301)])

    assert hot.latest() == {}
    assert hot.recent(1) == []


def test_what_grows_old_is_forgotten(hot: Hot, clock: Clock) -> None:
    hot.put([tick(1, -200), tick(1, -100)])

    clock.move(150)

    assert hot.recent(1) == [tick(1, -100)]
    assert hot.latest() == {1: tick(1, -100)}
    clock.move(100)
    assert hot.recent(1) == []
    assert hot.latest([1]) == {}
    assert hot.latest() == {}


def test_a_fast_machine_keeps_its_newest(hot: Hot) -> None:
    ticks = [tick(1, -290 + n / 2) for n in range(RECENT_LIMIT + 50)]

    hot.put(ticks)

    assert hot.recent(1) == ticks[50:]


def test_values_come_back_bit_by_bit(hot: Hot) -> None:
    odd = StoredSample(
        machine=2**31 - 1,
        layout=2**31 - 1,
        sequence=2**62,
        time_ms=NOON_MS,
        received_ms=NOON_MS + 7,
        values=bytes(range(256)),
    )

    hot.put([odd])

    assert hot.latest() == {odd.machine: odd}
    assert hot.recent(odd.machine) == [odd]


def busy(machine: int, at_s: float, *, pid: int = 7) -> Snapshot:
    entry = Entry(pid, "stress", "root", "stress ü", None, 3.5, 4096, 0.25, None, 1.5)
    return Snapshot(machine, NOON_MS + round(at_s * 1000), 2_000, (entry,))


def test_snapshots_of_processes_come_back_in_order(hot: Hot) -> None:
    hot.put_processes(busy(1, -5))
    hot.put_processes(busy(1, -60, pid=2**32 - 1))
    hot.put_processes(busy(2, -5))

    assert hot.processes(1) == [busy(1, -60, pid=2**32 - 1), busy(1, -5)]
    assert hot.processes(9) == []


def test_a_machine_keeps_its_newest_snapshots(hot: Hot) -> None:
    for n in range(30):
        hot.put_processes(busy(1, n - 60))

    kept = [busy(1, n - 60) for n in range(30 - PROCESSES_LIMIT, 30)]
    assert hot.processes(1) == kept


def test_snapshots_are_forgotten_after_a_quarter_of_an_hour(
    hot: Hot, clock: Clock
) -> None:
    hot.put_processes(busy(1, 0))
    clock.move(899)
    assert hot.processes(1) == [busy(1, 0)]

    clock.move(2)

    assert hot.processes(1) == []


def test_the_nearest_snapshot_is_of_the_moment_and_short() -> None:
    long = Snapshot(1, 100_000, 30_000, ())
    short = Snapshot(1, 102_000, 2_000, ())

    assert nearest([long, short], 100_000) == short
    assert nearest([long, short], 75_000) == long
    assert nearest([], 0) is None


@pytest.mark.parametrize("damaged", [b"", b"\x02abc", b"\x01abc", b"\x01"])
def test_a_damaged_snapshot_is_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="processes"):
        unpack(damaged)


def test_a_full_snapshot_is_small() -> None:
    [entry] = busy(1, 0).entries
    names = [f"worker-{n} --queue {n * 7919}" for n in range(30)]
    entries = tuple(replace(entry, pid=n, command=c) for n, c in enumerate(names))

    packed = pack(Snapshot(1, NOON_MS, 2_000, entries))

    assert unpack(packed).entries == entries
    assert len(packed) < 1_500


def test_a_store_that_answers_is_ready(hot: Hot) -> None:
    hot.put([])
    hot.ready()


def test_memory_forgets_the_silent(clock: Clock) -> None:
    hot = MemoryHot(clock)
    hot.put([tick(1, 0)])

    clock.move(400)
    hot.put([tick(2, 400)])

    assert list(hot._recent) == [2]


def test_memory_forgets_the_processes_of_the_silent(clock: Clock) -> None:
    hot = MemoryHot(clock)
    hot.put_processes(busy(1, 0))

    clock.move(1_000)
    hot.put([tick(2, 1_000)])

    assert hot._processes == {}


@pytest.mark.production_only
def test_two_processes_agree_on_the_newest(clock: Clock) -> None:
    prefix = f"hot-{uuid.uuid4().hex}:"
    one = RedisHot(settings.REDIS_URL, prefix=prefix, clock=clock)
    other = RedisHot(settings.REDIS_URL, prefix=prefix, clock=clock)

    one.put([tick(1, -5)])
    other.put([tick(1, -10)])

    assert one.latest() == other.latest() == {1: tick(1, -5)}
    assert len(one.recent(1)) == 2


@pytest.mark.production_only
def test_redis_keeps_a_bounded_list(clock: Clock) -> None:
    prefix = f"hot-{uuid.uuid4().hex}:"
    hot = RedisHot(settings.REDIS_URL, prefix=prefix, clock=clock)

    hot.put([tick(1, -290 + n / 4) for n in range(3 * RECENT_LIMIT)])

    assert RECENT_LIMIT <= hot._redis.llen(f"{prefix}recent:1") < RECENT_LIMIT + 8
    clock.move(300)
    for n in range(16):
        hot.put([tick(1, 300 + n / 10)])
    assert hot._redis.llen(f"{prefix}recent:1") < 32


@pytest.mark.production_only
def test_redis_forgets_by_itself(clock: Clock) -> None:
    prefix = f"hot-{uuid.uuid4().hex}:"
    hot = RedisHot(settings.REDIS_URL, prefix=prefix, clock=clock)

    hot.put([tick(1, 0)])
    hot.put_processes(busy(1, 0))

    keys = ("latest", "recent:1", "processes:1")
    lives = [hot._redis.pttl(f"{prefix}{key}") for key in keys]
    assert all(0 < live <= 900_000 for live in lives)


def _calls(hot: Hot) -> list[Callable[[], object]]:
    now = sample(1, 1, 1, 0.5)
    return [
        hot.ready,
        lambda: hot.latest(),
        lambda: hot.latest([1]),
        lambda: hot.recent(1),
        lambda: hot.put([now]),
        lambda: hot.trails([1]),
        lambda: hot.processes(1),
        lambda: hot.put_processes(busy(1, 0)),
    ]


@pytest.mark.production_only
def test_a_redis_that_died_is_down_within_a_second(
    clock: Clock,
) -> None:
    with services.redis() as url:
        hot = RedisHot(url, clock=clock)
        hot.put([tick(1, 0)])

    for call in _calls(hot):
        before = monotonic()
        with pytest.raises(HotDown):
            call()
        assert monotonic() - before < 10


@pytest.mark.production_only
def test_a_redis_that_hangs_is_down_within_a_second(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hot = RedisHot(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", clock=clock)

        for call in _calls(hot):
            before = monotonic()
            with pytest.raises(HotDown):
                call()
            assert monotonic() - before < 10


def test_the_settings_choose_the_kind() -> None:
    set_hot(None)

    expected = RedisHot if settings.REDIS_URL else MemoryHot
    assert type(get_hot()) is expected
    assert get_hot() is get_hot()


def test_what_a_provisional_layout_says_is_kept_and_never_replaced(hot: Hot) -> None:
    assert hot.put_layout(-5, b"first") == b"first"

    assert hot.put_layout(-5, b"second") == b"first"
    assert hot.layout(-5) == b"first"
    assert hot.layout(-6) is None


def test_memory_forgets_a_layout_that_nobody_repeats(clock: Clock) -> None:
    hot = MemoryHot(clock)
    hot.put_layout(-5, b"first")

    clock.move(LAYOUT_MS / 1000 + 1)

    assert hot.layout(-5) is None
    assert hot.put_layout(-5, b"second") == b"second"
