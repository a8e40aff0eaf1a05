"""Which worker is given which file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from xdist.remote import Producer

from hub.testing.lanes import WAITING, Lanes

# Once is enough: no service is asked.
pytestmark = pytest.mark.embedded_only

WORKERS = WAITING + 2
COMPUTING = "def test_{n}(): ..."
STORY = "@pytest.mark.process\ndef test_{n}(): ..."
LONG = "pytestmark = [pytest.mark.browser, pytest.mark.lasts]"


@dataclass(eq=False)
class Worker:
    """What the scheduler asks of a worker of xdist."""

    number: int
    given: list[int] = field(default_factory=list)
    shutting_down: bool = False
    gateway: ClassVar = SimpleNamespace(id="a worker")

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


@dataclass
class Run:
    lanes: Any
    workers: list[Worker]
    tests: list[str]

    def first_files(self) -> list[str]:
        return [self.tests[worker.given[0]][:4] for worker in self.workers]

    def step(self, worker: Worker) -> str:
        """Let a worker end a test; return which."""
        index = worker.given.pop(0)
        self.lanes.mark_test_complete(worker, index)
        return self.tests[index]

    def finish(self) -> list[str]:
        """Let all workers end test after test; return all, as they were run."""
        ran: list[str] = []
        while busy := [worker for worker in self.workers if worker.given]:
            ran += map(self.step, busy)
        return ran


def run(folder: Path, files: dict[str, str], *, long: int, other: int) -> Run:
    """Hand out files, of which each has so many tests."""
    for name, text in files.items():
        (folder / name).write_text(text)
    config = SimpleNamespace(
        rootpath=folder,
        option=SimpleNamespace(loadscopereorder=True),
        getvalue={"tx": [f"{WORKERS}*popen"]}.__getitem__,
    )
    lanes: Any = Lanes(config, Producer("quiet", enabled=False))
    workers = [Worker(number) for number in range(WORKERS)]
    counts = {name: long if name == "long.py" else other for name in files}
    names = [f"{name}::test_{n}" for name in files for n in range(counts[name])]
    for worker in workers:
        lanes.add_node(worker)
        lanes.add_node_collection(worker, names)
    lanes.schedule()
    return Run(lanes, workers, names)


def files() -> Iterator[tuple[str, str]]:
    yield from ((f"com{n}.py", COMPUTING) for n in range(6))
    yield from ((f"sto{n}.py", STORY) for n in range(6))
    yield "long.py", LONG


def test_stories_begin_beside_what_computes_the_longest_first(tmp_path: Path) -> None:
    made = run(tmp_path, dict(files()), long=3, other=3)

    assert made.first_files() == ["long", "sto0", "sto1", "com0", "com1"]


@pytest.mark.parametrize("tests", [1, 2, 5])
def test_every_test_runs_once_whoever_has_nothing_of_its_own(
    tmp_path: Path, tests: int
) -> None:
    made = run(tmp_path, dict(files()), long=1, other=tests)

    assert sorted(made.finish()) == sorted(made.tests)
    assert all(worker.shutting_down for worker in made.workers)


def test_nobody_holds_two_files_behind_the_one_that_runs(tmp_path: Path) -> None:
    made = run(tmp_path, dict(files()), long=4, other=1)
    [first] = [worker for worker in made.workers if len(worker.given) == 4]

    held = []
    for _ in range(4):
        made.step(first)
        held.append(len(first.given))

    assert held == [3, 2, 2, 2]
