"""A database that answers and takes nothing is trouble of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from hub import metrics
from hub.health import background
from hub.health.dependencies import STORING, findings, probes
from hub.health.probe import State
from hub.health.shelf import MemoryShelf, set_shelf
from hub.health.storing import PREFIX, WAITS, WRITES
from hub.health.trouble import of_dependencies

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shelf() -> Iterator[MemoryShelf]:
    probes.cache_clear()
    made = MemoryShelf()
    set_shelf(made)
    yield made
    set_shelf(None)
    probes.cache_clear()


def tell(shelf: MemoryShelf, *, failing: bool, place: str = "there") -> None:
    """Say what a grpcserve says of itself."""
    shelf.put(f"{PREFIX}{place}", WAITS if failing else WRITES, lifetime_s=30)


async def test_while_writers_get_rid_of_their_samples_all_is_well(
    shelf: MemoryShelf,
) -> None:
    tell(shelf, failing=False)

    assert (await findings())[STORING].state == State.OK


async def test_what_one_that_listens_tells_the_others_is_read(
    shelf: MemoryShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics.FAILING.follow(lambda: 1)
    background.tell("grpcserve", lifetime_s=30)
    metrics.FAILING.follow(lambda: 0)
    alone = (await findings())[STORING].state
    monkeypatch.setattr(metrics.Role, "place", "another")
    probes.cache_clear()

    assert (alone, (await findings())[STORING].state) == (State.OK, State.DOWN)


async def test_this_process_knows_itself_better_than_the_shelf(
    shelf: MemoryShelf,
) -> None:
    tell(shelf, failing=True, place=metrics.Role.place)

    assert (await findings())[STORING].state == State.OK


async def test_a_writer_that_waits_for_the_database_is_told_to_everybody(
    shelf: MemoryShelf, client: Client
) -> None:
    tell(shelf, failing=True)

    found = await findings()
    trouble = of_dependencies(found)
    answer = await sync_to_async(client.get)("/ready")

    assert trouble is not None
    assert trouble.what == "Nothing is stored"
    assert "agents keep their samples" in trouble.meaning
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["dependencies"]["storing"] == {"state": "down"}
