from __future__ import annotations

import pytest

from hub.alerts.silence import Ears, intervals


@pytest.mark.parametrize(
    ("seen_s", "hears_since_s", "now_s", "expected"),
    [
        pytest.param(None, 0, 1000, 0, id="never heard: nothing is missed"),
        pytest.param(990, 0, 1000, 0, id="a moment ago"),
        pytest.param(940, 0, 1000, 12, id="a minute ago"),
        pytest.param(100, 990, 1000, 0, id="the hub has just begun to hear"),
        pytest.param(100, 881, 1000, 0, id="agents may still be on their way back"),
        pytest.param(100, 880, 1000, 24, id="they have had the time"),
    ],
)
def test_silence_counts_while_the_hub_could_hear(
    seen_s: int | None, hears_since_s: int, now_s: int, expected: float
) -> None:
    found = intervals(
        seen_ms=None if seen_s is None else seen_s * 1000,
        hears_since_ms=hears_since_s * 1000,
        now_ms=now_s * 1000,
        interval_s=5,
    )

    assert found == expected


def test_a_pause_of_the_process_is_blindness() -> None:
    ears = Ears(0)
    ears.hear(4_000, 4_000)
    assert ears.tick(5_000) is None

    stretch = ears.tick(305_000)

    assert stretch is not None
    assert (stretch.start_ms, stretch.end_ms) == (5_000, 305_000)
    assert ears.hears_since_ms == 305_000


def test_when_nobody_is_heard_not_even_the_witness_the_hub_is_blind() -> None:
    ears = Ears(0)
    ears.hear(4_000, 4_000, is_witness=True)
    for now_ms in range(5_000, 605_000, 5_000):
        assert ears.tick(now_ms) is None
    assert ears.is_blind(605_000)

    ears.hear(606_000, 606_000)
    stretch = ears.tick(610_000)

    assert stretch is not None
    assert (stretch.start_ms, stretch.end_ms) == (4_000, 606_000)
    assert not ears.is_blind(610_000)


def test_without_a_witness_silence_is_believed_after_five_minutes() -> None:
    ears = Ears(0)
    ears.hear(4_000, 4_000)
    for now_ms in range(5_000, 310_000, 5_000):
        ears.tick(now_ms)

    assert ears.is_blind(300_000)
    assert not ears.is_blind(309_000)


def test_while_nothing_takes_samples_the_hub_is_blind_and_counts_anew_then() -> None:
    ears = Ears(0)
    for now_ms in range(5_000, 1_000_000, 5_000):
        ears.tick(now_ms)
        ears.beat(10_000)
    assert ears.is_blind(1_000_000)

    stretch = ears.beat(1_000_000)

    assert stretch is not None
    assert (stretch.start_ms, stretch.end_ms) == (10_000, 1_000_000)
    assert ears.hears_since_ms == 1_000_000
