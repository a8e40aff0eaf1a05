"""The short form of the oracle, and proof that its judge can say no."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from hub.testing.oracle import embedded, payload
from hub.testing.oracle.journal import Journal, Made
from hub.testing.oracle.judge import Agent, Row, Stored, is_drained, judge
from hub.testing.oracle.ledger import Ledger
from hub.testing.oracle.payload import Mark
from hub.testing.oracle.run import run

# "make test" tries another order of events each time; this one is tried again.
SEED = "ORACLE_SEED"

EPOCH = "e0"
NOW_MS = 1_800_000_000_000
ACKED = 2


def journal(**changes: Mapping[int, Made]) -> Journal:
    """Three samples are safe, two of them acknowledged."""
    made = {
        tick: Made(NOW_MS + tick, 0, 1, EPOCH, tick, safe=True, durable=True)
        for tick in (1, 2, 3)
    }
    return Journal(
        made=made | dict(changes.get("made", {})), done={EPOCH: ACKED}, lives=1
    )


def row(tick: int, **changes: int) -> Row:
    values = payload.values("web-1", Mark(0, tick))
    return Row(
        "web-1",
        changes.get("sequence", tick),
        changes.get("time_ms", NOW_MS + tick),
        values,
    )


def verdict_of(*rows: Row, written: Journal | None = None) -> list[str]:
    journals: dict[Agent, Journal] = {("web-1", 0): written or journal()}
    return [
        sentence.partition(":")[0]
        for sentence in judge(journals, Stored(list(rows))).wrong
    ]


def test_every_sample_once_is_well() -> None:
    assert verdict_of(row(1), row(2), row(3)) == []


def test_a_missing_sample_is_seen_and_an_acknowledged_one_is_worse() -> None:
    assert verdict_of(row(1), row(2)) == ["committed and missing"]
    assert verdict_of(row(1), row(3)) == [
        "committed and missing",
        "acknowledged and missing",
    ]


def test_a_sample_that_is_there_twice_is_seen() -> None:
    assert verdict_of(row(1), row(2), row(2), row(3)) == ["stored more than once"]


def test_a_sample_that_nobody_made_is_seen() -> None:
    changed = row(1)._replace(values=(0.0, 1.0, 2.0, 3.0))

    assert "spurious" in verdict_of(row(1), row(2), row(3), row(4))
    assert "not what any agent sent" in verdict_of(row(1), row(2), row(3), changed)
    assert verdict_of(row(1), row(2), row(3)._replace(machine="web-2")) == [
        "not what any agent sent",
        "committed and missing",
    ]


def test_another_number_or_another_time_is_seen() -> None:
    assert verdict_of(row(1), row(2), row(3, sequence=4)) == [
        "stored under another number"
    ]
    assert verdict_of(row(1), row(2), row(3, time_ms=NOW_MS)) == [
        "stored with another time"
    ]


def test_a_sample_out_of_range_must_stay_out() -> None:
    hour_ms = 3600 * 1000
    late = Made(NOW_MS, hour_ms, 1, EPOCH, 4, safe=True, durable=True)
    written = journal(made={4: late})

    assert verdict_of(row(1), row(2), row(3), written=written) == []
    assert verdict_of(
        row(1), row(2), row(3), row(4, time_ms=NOW_MS), written=written
    ) == ["taken although its time is out of range"]


def test_what_was_only_in_memory_may_go_unless_it_was_acknowledged() -> None:
    written = journal()
    written.lives = 2
    for made in written.made.values():
        made.durable = False

    assert verdict_of(row(1), row(2), written=written) == []
    assert "acknowledged and missing" in verdict_of(row(1), row(3), written=written)


def test_what_was_evicted_may_be_missing_and_no_more() -> None:
    written = journal()
    written.done.clear()
    written.evicted = {EPOCH: 1}

    assert verdict_of(row(2), row(3), written=written) == []
    assert verdict_of(row(3), written=written) == ["committed and missing"]


def test_it_is_not_drained_while_a_sample_is_under_way() -> None:
    journals = {("web-1", 0): journal()}

    assert not is_drained(journals, Stored([row(1), row(2)]))
    assert is_drained(journals, Stored([row(1), row(2), row(3)]))


def test_a_run_in_which_nothing_happened_is_void() -> None:
    ledger = Ledger(seed=1)

    assert len(ledger.void) == 4
    assert "VOID: no duplicate happened" in list(ledger.lines())


@pytest.mark.process
@pytest.mark.lasts
def test_nothing_is_lost_and_nothing_is_double(tmp_path: Path) -> None:
    seed = int(os.environ.get(SEED) or random.randrange(2**32))

    ledger = run(tmp_path, seed=seed)

    said = "\n".join(ledger.lines())
    assert (ledger.wrong, ledger.void) == ([], []), said
    assert ledger.remainder == 0, said


@pytest.mark.process
@pytest.mark.lasts
def test_a_hub_of_one_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get(SEED) or random.randrange(2**32))

    ledger = embedded.run(tmp_path, seed=seed, rounds=4)

    said = "\n".join(ledger.lines())
    assert (ledger.wrong, ledger.void) == ([], []), said
    assert ledger.remainder == 0, said
