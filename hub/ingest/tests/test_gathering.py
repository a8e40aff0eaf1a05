from __future__ import annotations

import pytest

from hub.ingest.gathering import GATHER_S, Gathering


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def waits(machines: int, every_s: float) -> float:
    clock = Clock()
    gathering = Gathering(clock=clock)
    clock.now += every_s
    gathering.took(machines)
    return gathering.wait_s


@pytest.mark.parametrize(
    ("machines", "every_s", "expected"),
    [
        # One agent with a backlog, message by message.
        (1, 0.04, GATHER_S),
        # 100, 1,000 and 5,000 agents at five seconds.
        (1, 0.05, GATHER_S),
        (7, 0.035, 0.1),
        (20, 0.1, 0.1),
        (100, 0.1, 0.2),
        (200, 0.2, 0.2),
        # All at once after a pause: the next come as they came before.
        (200, 60.0, GATHER_S),
    ],
)
def test_the_more_machines_send_the_longer_a_transaction_waits(
    machines: int, every_s: float, expected: float
) -> None:
    assert waits(machines, every_s) == expected


def test_who_must_not_wait_never_does() -> None:
    gathering = Gathering(0, clock=Clock())

    gathering.took(1000)

    assert gathering.wait_s == 0
