"""Whatever comes, in whatever order: the tiers hold what the samples come to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hub.machines.models import Machine
from hub.storage import layouts, raw, rollup
from hub.storage.expire import expire
from hub.storage.models import Late
from hub.storage.raw import Incoming
from hub.storage.rollup import roll_up
from hub.storage.sample import StoredSample
from hub.storage.tests import naive
from hub.storage.tests.conftest import EPOCH, NOON_MS, sample, series, vector
from hub.storage.tiers import HOUR, MINUTE, RAW

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPAN_S = 4 * 3600
METRICS = (("a", "b", "c"), ("c", "a"), ("b",))

seconds = st.integers(0, SPAN_S * 10).map(lambda tenths: tenths / 10)
values = st.one_of(
    st.just(nan),
    st.sampled_from([0.0, 1.0, -2.5, 1e30, inf]),
    st.floats(0, 1, width=32),
)
ticks = st.tuples(
    st.just("tick"),
    st.integers(0, 1),
    st.integers(0, 2),
    seconds,
    st.lists(values, min_size=3, max_size=3),
)
actions = st.one_of(
    ticks,
    ticks,
    st.tuples(st.just("repeat")),
    st.tuples(st.just("roll up"), seconds),
    st.tuples(st.just("expire"), seconds),
)


@contextmanager
def undone() -> Iterator[None]:
    """An example leaves nothing to the next one."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    layouts.forget_all()


@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(actions, max_size=30))
@example(
    [
        ("tick", 0, 0, 5.0, [1.0, nan, 2.0]),
        ("roll up", 4000.0),
        ("tick", 0, 1, 6.0, [3.0, 4.0, 0.0]),
        ("roll up", 4000.0),
        ("expire", 4000.0),
        ("tick", 0, 0, 7.0, [9.0, 1.0, nan]),
        ("tick", 1, 0, 7.0, [9.0, 1.0, nan]),
        ("expire", 4000.0),
        ("roll up", 4000.0),
        ("tick", 0, 0, 8.0, [0.0, 1.0, nan]),
    ]
)
def test_tiers_hold_what_the_samples_come_to(db: None, script: list[Any]) -> None:
    with undone():
        play = Play()
        for action in script:
            play.do(action)
        roll_up(NOON + timedelta(seconds=SPAN_S + 7200))

        assert not Late.objects.exists()
        naive.check(MINUTE, play.stored)
        naive.check(HOUR, play.stored)


class Play:
    """Performs actions and keeps what was stored."""

    def __init__(self) -> None:
        self.layouts = [
            layouts.learn([series(name) for name in names]) for names in METRICS
        ]
        self.machines = [
            Machine.objects.create(machine_id=f"web-{n}").pk for n in range(2)
        ]
        self.sequence = 0
        self.last: list[Incoming] = []
        self.stored: list[StoredSample] = []
        self.latest_s = 0.0

    def do(self, action: Any) -> None:
        match action:
            case ("tick", machine, layout, at_s, readings):
                self.sequence += 1
                known = self.layouts[layout]
                one = sample(
                    self.machines[machine],
                    known.id,
                    self.sequence,
                    *readings[: len(known.series)],
                    at_s=at_s,
                )
                self.last = [Incoming(one, EPOCH)]
                self.stored += raw.write(self.last).stored
            case ("repeat",):
                assert raw.write(self.last).stored == []
            case ("roll up", at_s):
                roll_up(NOON + timedelta(seconds=at_s))
            case ("expire", at_s):
                expire(RAW, NOON + timedelta(seconds=at_s) + settings.RAW_RETENTION)


@dataclass
class Failures:
    found: list[BaseException]

    def watch(self, work: Any) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001 - told to the test
                self.found.append(failure)
            finally:
                connection.close()

        return threading.Thread(target=run)


@pytest.mark.production_only
@pytest.mark.django_db(transaction=True)
def test_workers_and_writers_at_once_lose_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Steps of a minute, so that there are many chances to collide.
    monkeypatch.setattr(rollup, "LONGEST_STEP", 1)
    known = layouts.learn([series("a")])
    machines = [Machine.objects.create(machine_id=f"web-{n}").pk for n in range(3)]
    roll_up(NOON)
    failures, stop = Failures([]), threading.Event()
    clock = {"now_s": 0}

    def write(machine: int) -> None:
        # Each writer is now ahead of the roll-up's clock and now behind it.
        for n in range(150):
            late_s = (0, 20, 65, 400)[n % 4]
            at_s = max(0, clock["now_s"] - late_s)
            one = StoredSample(
                machine, known.id, n + 1, NOON_MS + at_s * 1000 + n, 0, vector(n)
            )
            with transaction.atomic():
                raw.write([Incoming(one, EPOCH)])
            clock["now_s"] += 3

    def work() -> None:
        while not stop.is_set():
            roll_up(NOON + timedelta(seconds=clock["now_s"] + 15))

    workers = [failures.watch(work) for _ in range(2)]
    writers = [failures.watch(lambda pk=pk: write(pk)) for pk in machines]
    for thread in (*workers, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    stop.set()
    for thread in workers:
        thread.join(60)

    roll_up(NOON + timedelta(seconds=clock["now_s"] + 7200))
    assert failures.found == []
    samples = naive.raw()
    assert len(samples) == 450
    naive.check(MINUTE, samples)
    naive.check(HOUR, samples)


@pytest.mark.production_only
@pytest.mark.django_db(transaction=True)
def test_a_sample_under_way_while_its_minute_closes_is_not_missed() -> None:
    known = layouts.learn([series("a")])
    machine = Machine.objects.create(machine_id="web-1").pk
    raw.write([Incoming(sample(machine, known.id, 1, 1, at_s=0), EPOCH)])
    roll_up(NOON)
    failures = Failures([])
    written, may_commit = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            raw.write([Incoming(sample(machine, known.id, 2, 5, at_s=1), EPOCH)])
            written.set()
            may_commit.wait(10)

    writer = failures.watch(write)
    writer.start()
    written.wait(10)
    threading.Timer(0.3, may_commit.set).start()
    # Waits for the writer: what it holds belongs to the minute that is closed.
    roll_up(NOON + timedelta(seconds=80))
    writer.join(10)
    roll_up(NOON + timedelta(seconds=80))

    assert failures.found == []
    naive.check(MINUTE, naive.raw())
