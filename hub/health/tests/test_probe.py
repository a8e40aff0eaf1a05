from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Event

from hub.health.probe import Finding, InThread, Probe, State
from hub.testing.patience import PATIENCE_S


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def answering(*answers: str | Exception) -> Callable[[], Awaitable[str]]:
    left = list(answers)

    async def check() -> str:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return check


async def test_what_answers_is_ok() -> None:
    probe = Probe("database", answering("It answers."), clock=Clock())

    assert await probe.find() == Finding(State.OK, "It answers.", 0)


async def test_what_refuses_is_down_and_its_words_stay_inside() -> None:
    error = ConnectionError("password 'hunter2' refused by 10.0.0.3")
    probe = Probe("database", answering(error), clock=Clock())

    assert await probe.find() == Finding(State.DOWN, "Refused (ConnectionError).", 0)


async def test_what_does_not_answer_in_time_is_down() -> None:
    probe = Probe("bus", lambda: asyncio.sleep(30, "late"), deadline_s=0.05)

    finding = await probe.find()

    assert finding.state == State.DOWN
    assert finding.sentence == "No answer within 0.05 s."
    assert 50 <= finding.milliseconds < 5000


async def test_an_answer_is_repeated_for_a_second() -> None:
    clock = Clock()
    probe = Probe("bus", answering("one", "two"), clock=clock)

    said = []
    for seconds in (0, 0.9, 0.2):
        clock.now += seconds
        said.append((await probe.find()).sentence)

    assert said == ["one", "one", "two"]


async def test_what_comes_back_is_ok_again() -> None:
    clock = Clock()
    probe = Probe("bus", answering(OSError(), "It answers."), clock=clock)

    before = await probe.find()
    clock.now += 1
    after = await probe.find()

    assert (before.state, after.state) == (State.DOWN, State.OK)


async def test_it_is_known_since_when_it_is_down() -> None:
    clock, wall = Clock(), Clock()
    probe = Probe(
        "bus",
        answering("well", OSError(), OSError(), "well", OSError()),
        clock=clock,
        now_s=wall,
    )

    since = []
    for _ in range(5):
        since.append((await probe.find()).down_since_ms)
        clock.now += 1
        wall.now += 60

    assert since == [None, 160_000, 160_000, None, 340_000]


async def test_a_blocking_check_does_not_stop_the_loop() -> None:
    released = Event()

    def slowly() -> str:
        return "done" if released.wait(PATIENCE_S) else "never"

    check = InThread(slowly)
    answer = asyncio.create_task(check())
    await asyncio.sleep(0.01)

    assert not answer.done()
    released.set()
    assert await answer == "done"


async def test_who_asks_meanwhile_waits_for_the_same_answer() -> None:
    calls: list[int] = []
    released = Event()

    def slowly() -> str:
        calls.append(1)
        return "done" if released.wait(PATIENCE_S) else "never"

    check = InThread(slowly)
    asked = [asyncio.create_task(check()) for _ in range(20)]
    # All have asked by now.
    await asyncio.sleep(0)
    released.set()

    assert await asyncio.gather(*asked) == ["done"] * 20
    assert len(calls) == 1


async def test_a_check_that_hangs_holds_one_thread() -> None:
    calls: list[int] = []
    released = Event()

    def hang() -> str:
        calls.append(1)
        released.wait(PATIENCE_S)
        return "at last"

    probe = Probe("database", InThread(hang), deadline_s=0.05, clock=Clock())

    asked = await asyncio.gather(*(probe.find() for _ in range(20)))
    released.set()

    assert {finding.state for finding in asked} == {State.DOWN}
    assert len(calls) == 1
