from __future__ import annotations

from itertools import islice

from hub.events.patience import Breaker, waits


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_grow_to_their_cap_and_vary() -> None:
    pauses = list(islice(waits(first_s=0.1, longest_s=1.0), 40))

    assert 0.05 <= pauses[0] <= 0.1
    assert 0.1 <= pauses[1] <= 0.2
    assert all(0.5 <= pause <= 1.0 for pause in pauses[4:])
    assert len(set(pauses[4:])) > 10


def test_a_breaker_refuses_after_a_failure_and_tries_again_later() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    seen = [breaker.open]

    breaker.failed()
    seen.append(breaker.open)
    clock.now += 0.1
    seen.append(breaker.open)

    assert seen == [False, True, False]


def test_a_breaker_never_refuses_for_longer_than_five_seconds() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)

    for _ in range(50):
        breaker.failed()
    clock.now += 5.0

    assert not breaker.open


def test_a_success_makes_a_breaker_patient_again() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    for _ in range(50):
        breaker.failed()

    breaker.succeeded()
    breaker.failed()
    clock.now += 0.1

    assert not breaker.open


def test_a_breaker_is_broken_until_something_succeeds() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    seen = [breaker.broken]

    breaker.failed()
    clock.now += 60
    seen.append(breaker.broken)
    breaker.succeeded()
    seen.append(breaker.broken)

    assert seen == [False, True, False]
