from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings

from hub.health.shelf import MemoryShelf, RedisShelf, Shelf, ShelfDown
from hub.testing.processes import free_port


class Clock:
    """Moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


Make = Callable[[Clock], Shelf]


def in_redis(clock: Clock) -> Shelf:
    shelf = RedisShelf(settings.REDIS_URL, clock=clock)
    opened.append(shelf)
    return shelf


opened: list[Shelf] = []


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


@pytest.fixture(
    params=[
        MemoryShelf,
        pytest.param(in_redis, marks=pytest.mark.production_only),
    ]
)
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


def test_what_was_laid_down_is_read_by_name(make: Make) -> None:
    shelf = make(Clock())

    shelf.put("a", b"one", lifetime_s=10)
    shelf.put("b", b"two", lifetime_s=10)
    shelf.put("a", b"three\x00\xff", lifetime_s=10)

    assert shelf.read() == {"a": b"three\x00\xff", "b": b"two"}


def test_what_is_over_is_gone(make: Make) -> None:
    clock = Clock()
    shelf = make(clock)
    shelf.put("a", b"one", lifetime_s=10)
    shelf.put("b", b"two", lifetime_s=20)

    clock.now += 10

    assert shelf.read() == {"b": b"two"}
    clock.now += 10
    assert shelf.read() == {}


@pytest.mark.production_only
def test_processes_share_what_is_in_redis() -> None:
    in_redis(Clock()).put("a", b"one", lifetime_s=10)

    assert in_redis(Clock()).read() == {"a": b"one"}


def test_without_redis_there_is_no_answer_but_an_error() -> None:
    shelf = RedisShelf(f"redis://127.0.0.1:{free_port()}/0")

    with pytest.raises(ShelfDown):
        shelf.read()
    with pytest.raises(ShelfDown):
        shelf.put("a", b"one", lifetime_s=10)
