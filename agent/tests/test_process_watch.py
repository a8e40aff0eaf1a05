"""The thread that looks, over a /proc written down here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sysmonstm_agent.collectors.cpu import UTILIZATION as CPU
from sysmonstm_agent.metric import Reading
from sysmonstm_agent.processes import pace
from sysmonstm_agent.processes.watch import Watch, watch
from sysmonstm_proto import metrics_pb2 as pb

from tests.patience import PATIENCE_S, until
from tests.proc import Proc


class Watching:
    def __init__(self, proc: Proc) -> None:
        self.told = threading.Semaphore(0)
        self.watch: Watch = watch(proc.files, "masked", self.told.release)

    def feel(self, cpu: float) -> None:
        self.watch.feel([Reading(CPU, cpu)])

    async def looked(self, times: int) -> None:
        await until(lambda: self.watch._pace._looks >= times)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    monkeypatch.setattr(pace, "CLOSER_S", 0.2)
    return Proc(tmp_path)


@pytest.fixture
def watching(proc: Proc) -> Iterator[Watching]:
    proc.has(7, "stress", command="stress --cpu 4")
    found = Watching(proc)
    found.watch.start()
    yield found
    found.watch.stop()
    found.watch._thread.join(PATIENCE_S)
    assert not found.watch._thread.is_alive()


async def test_a_rise_is_told_of_unasked_and_once(
    proc: Proc, watching: Watching
) -> None:
    await watching.looked(2)
    watching.feel(0.1)
    proc.has(7, "stress", cpu_s=5, command="stress --cpu 4")
    watching.feel(0.9)

    assert watching.told.acquire(timeout=PATIENCE_S)
    snapshot = watching.watch.unasked()

    assert snapshot is not None
    assert [entry.command for entry in snapshot.entries] == ["stress --cpu 4"]
    assert snapshot.request == 0
    assert watching.watch.unasked() is None


async def test_what_was_seen_answers_a_question(watching: Watching) -> None:
    await watching.looked(2)

    found = watching.watch.answer(pb.ProcessesAsked(request=5, around_unix_ms=1))
    # The ring itself is not touched by who asks for less.
    fewer = watching.watch.answer(pb.ProcessesAsked(request=6, limit=1))

    assert (found.request, fewer.request) == (5, 6)
    assert [entry.pid for entry in found.entries] == [7]
    assert found.taken_unix_ms == fewer.taken_unix_ms


async def test_a_limit_is_kept_to(proc: Proc, watching: Watching) -> None:
    for pid in range(20, 30):
        proc.has(pid, memory=4096 * pid)
    await watching.looked(2)

    asked = pb.ProcessesAsked(request=6, limit=3)

    assert len(watching.watch.answer(asked).entries) == 3


def test_nothing_seen_is_an_answer_too(proc: Proc) -> None:
    watching = Watching(proc)

    found = watching.watch.answer(pb.ProcessesAsked(request=5, around_unix_ms=1))

    assert found == pb.ProcessSnapshot(request=5)


async def test_a_proc_that_is_gone_is_logged_once_and_looked_at_again(
    proc: Proc, watching: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    await watching.looked(2)
    proc.root.rename(proc.root.with_name("away"))
    watching.feel(0.1)
    watching.feel(0.9)
    await watching.looked(4)
    proc.root.with_name("away").rename(proc.root)

    assert [r.message for r in caplog.records] == ["processes.failed"]
    assert watching.watch._thread.is_alive()


async def test_switched_off_it_looks_no_more_and_has_nothing_to_tell(
    proc: Proc, watching: Watching
) -> None:
    await watching.looked(2)

    watching.watch.change(off=True, arguments="masked", entries=30)
    looks = watching.watch._pace._looks
    watching.feel(0.1)
    watching.feel(0.9)
    await asyncio.sleep(0.3)

    assert watching.watch._pace._looks == looks
    assert not watching.watch.answer(pb.ProcessesAsked(request=5)).entries
    watching.watch.change(off=False, arguments="masked", entries=30)
    await watching.looked(looks + 1)
    assert watching.watch.answer(pb.ProcessesAsked(request=6)).entries


async def test_no_command_line_is_told_once_they_are_hidden(
    proc: Proc, watching: Watching
) -> None:
    await watching.looked(2)
    before = watching.watch.answer(pb.ProcessesAsked(request=5))

    watching.watch.change(off=False, arguments="none", entries=30)
    at_once = watching.watch.answer(pb.ProcessesAsked(request=6))
    watching.feel(0.1)
    watching.feel(0.9)
    await watching.looked(4)
    later = watching.watch.answer(pb.ProcessesAsked(request=7))

    assert before.entries[0].command == "stress --cpu 4"
    assert not at_once.entries
    assert (later.entries[0].name, later.entries[0].command) == ("stress", "")


async def test_a_look_that_was_under_way_is_not_told(
    proc: Proc, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken with the command lines that are to be hidden."""
    await watching.looked(2)
    take, arrived, go_on = (
        watching.watch._snapshots.take,
        threading.Event(),
        threading.Event(),
    )

    def slow() -> pb.ProcessSnapshot | None:
        found = take()
        arrived.set()
        go_on.wait(PATIENCE_S)
        return found

    monkeypatch.setattr(watching.watch._snapshots, "take", slow)
    watching.feel(0.1)
    watching.feel(0.9)
    assert arrived.wait(PATIENCE_S)
    looks = watching.watch._pace._looks
    watching.watch.change(off=False, arguments="none", entries=30)
    go_on.set()
    await watching.looked(looks + 1)

    answer = watching.watch.answer(pb.ProcessesAsked(request=5))
    assert {entry.command for entry in answer.entries} <= {""}


async def test_so_many_entries_as_are_wanted_and_no_more(
    proc: Proc, watching: Watching
) -> None:
    for pid in range(20, 30):
        proc.has(pid, memory=4096 * pid)
    await watching.looked(2)
    watching.watch.change(off=False, arguments="masked", entries=4)
    watching.feel(0.1)
    watching.feel(0.9)
    await watching.looked(3)

    asked = pb.ProcessesAsked(request=5, limit=30)

    assert len(watching.watch.answer(asked).entries) == 4
