from __future__ import annotations

from sysmonstm_agent.processes.ring import CAPACITY_BYTES, Ring
from sysmonstm_proto import metrics_pb2 as pb


def snapshot(taken_s: float, span_s: float = 2, text: str = "") -> pb.ProcessSnapshot:
    return pb.ProcessSnapshot(
        taken_unix_ms=round(taken_s * 1000),
        span_ms=round(span_s * 1000),
        entries=[pb.ProcessEntry(pid=round(taken_s), command=text)],
    )


def filled(*taken: tuple[float, float]) -> Ring:
    ring = Ring()
    for taken_s, span_s in taken:
        ring.add(snapshot(taken_s, span_s), taken_s)
    return ring


def nearest_s(ring: Ring, around_s: float) -> float:
    return ring.nearest(round(around_s * 1000)).taken_unix_ms / 1000


def test_the_nearest_says_most_about_a_moment() -> None:
    ring = filled((70, 30), (100, 30), (102, 2), (130, 28))

    # The rise was at 100: a long span hardly shows it.
    assert nearest_s(ring, 100) == 102
    assert nearest_s(ring, 101) == 102
    assert nearest_s(ring, 85) == 100
    assert nearest_s(ring, 10) == 70
    assert nearest_s(ring, 900) == 130


def test_an_empty_ring_answers_with_nothing() -> None:
    assert Ring().nearest(0) == pb.ProcessSnapshot()


def test_what_is_older_than_ten_minutes_goes() -> None:
    ring = filled(*((n, 2) for n in range(0, 1000, 10)))

    assert len(ring) == 61
    assert nearest_s(ring, 0) == 390


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    ring = Ring()
    ring.add(snapshot(5000), 100)
    ring.add(snapshot(1000), 102)

    assert len(ring) == 2
    assert nearest_s(ring, 1000) == 1000


def test_it_is_bounded_in_bytes() -> None:
    ring = Ring()
    for n in range(3_000):
        ring.add(snapshot(n / 10, text="x" * 4_000), n / 10)
        assert ring.size_bytes <= CAPACITY_BYTES

    assert len(ring) < 105
    assert nearest_s(ring, 300) == 299.9
