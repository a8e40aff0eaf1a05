from __future__ import annotations

import asyncio
import time

import orjson
import pytest

from hub import metrics
from hub.health import background, dependencies, tasks
from hub.health.exposition import processes
from hub.health.shelf import get_shelf
from hub.testing.patience import PATIENCE_S


def lags() -> tuple[float, float]:
    """Return how often the loop was watched, and how late it was in all."""
    [family] = metrics.LOOP_LAG.collect()
    found = {sample.name: sample.value for sample in family.samples}
    name = "sysmonstm_event_loop_lag_seconds"
    return found[f"{name}_count"], found[f"{name}_sum"]


async def test_a_loop_that_was_held_up_is_noticed() -> None:
    count, total = lags()
    watching = asyncio.create_task(background.watch_loop())
    await asyncio.sleep(0)

    held_s = background.LAG_EVERY_S + 0.4
    time.sleep(held_s)  # noqa: ASYNC251 - which is what must not happen, and does
    # Its turn comes before ours, however long that takes.
    await asyncio.sleep(0.05)
    watching.cancel()

    later_count, later_total = lags()
    assert later_count == count + 1
    assert later_total - total > 0.2


async def test_what_the_hub_leans_on_is_asked_for_without_anybody_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    async def findings() -> dict[str, object]:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("a probe that breaks")
        return {}

    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(dependencies, "findings", findings)
    watching = asyncio.create_task(background.watch_dependencies(at_once))
    async with asyncio.timeout(PATIENCE_S):
        while len(asked) < 3:  # noqa: ASYNC110 - the task's own turns
            await asyncio.sleep(0)
    watching.cancel()


async def test_a_process_lays_its_numbers_down() -> None:
    sharing = asyncio.create_task(background.share())
    async with asyncio.timeout(PATIENCE_S):
        while not get_shelf().read():  # noqa: ASYNC110 - another thread's work
            await asyncio.sleep(0.01)
    sharing.cancel()

    [(name, content)] = get_shelf().read().items()
    told = orjson.loads(content)
    assert name == f"metrics:{metrics.Role.name}:{metrics.Role.place}"
    assert "process_resident_memory_bytes" in told["text"]
    assert told["figures"]["process_resident_memory_bytes"] > 1e6


@pytest.mark.production_only
def test_a_worker_is_told_of_when_it_runs_a_task() -> None:
    tasks.canary()

    told = [orjson.loads(content) for content in get_shelf().read().values()]
    assert [one["role"] for one in told] == ["worker"]


def test_what_another_version_laid_down_is_no_harm() -> None:
    get_shelf().put("metrics:web:far:1", b'{"unknown": 1}', lifetime_s=5)
    get_shelf().put("metrics:web:far:2", b"no json", lifetime_s=5)

    assert [one.place for one in processes()] == [metrics.Role.place]


async def test_an_application_is_measured_from_its_first_call_on() -> None:
    calls: list[str] = []

    async def application(scope: str, receive: object, send: object) -> None:
        calls.append(scope)

    measured = background.Measured(application)
    before, _ = lags()

    await measured("one", None, None)
    await measured("two", None, None)
    await asyncio.sleep(background.LAG_EVERY_S + 0.1)
    for task in measured._tasks:
        task.cancel()

    assert calls == ["one", "two"]
    assert lags()[0] == before + 1


def test_what_a_process_tells_the_others_can_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    background.tell("grpcserve", lifetime_s=5)
    monkeypatch.setattr(metrics.Role, "place", "elsewhere:1")

    assert [one.role for one in processes()] == [metrics.Role.name, "grpcserve"]
