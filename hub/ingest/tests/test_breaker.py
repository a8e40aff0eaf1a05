from __future__ import annotations

from hub.ingest.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_up_to_a_limit_and_end_with_a_success() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    pauses = []

    for _ in range(7):
        breaker.failed()
        began = clock.now
        while breaker.open:
            clock.now += 0.5
        pauses.append(clock.now - began)

    assert pauses == [0.5, 1, 2, 4, 8, 15, 15]
    before = (breaker.broken, breaker.open)
    breaker.succeeded()
    assert (before, (breaker.broken, breaker.open)) == ((True, False), (False, False))
