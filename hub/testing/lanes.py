"""Lanes of a parallel run: who waits for real processes runs beside who computes.

A test with processes of its own, or with a browser, mostly waits for them; any other
keeps a core busy. Some workers therefore take files of the one kind first, the others
of the other kind, and whoever has none of its own left helps out. Alone, either kind
left a core idle for a quarter of its time; and many real hubs at once starve each
other, which is no good for tests with deadlines.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# Workers that begin with what waits, beside one for each core.
WAITING = 3
# Where nothing waits: tests rest now and then, and cores should not.
SPARE = 1
# Each worker is a process of 400 MB.
MAX_CORES = 4

# Only a hint about the order: whatever it says, every test runs once.
_WAITS = re.compile(r"mark\.(process|browser)\b|\bbrowser: Browser\b")
# The end is for what is short.
_LASTS = re.compile(r"mark\.lasts\b")


class Lanes(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Hands out whole files, each worker's own kind first."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        is_waiting = self.nodes.index(node) < WAITING
        mine = [file for file in self.workqueue if self._waits(file) is is_waiting]
        if mine:
            first = next((file for file in mine if self._lasts(file)), mine[0])
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        # One file ahead is enough: two long stories would wait behind a third one,
        # while others have nothing left to do.
        ahead = self._pending_of(self.assigned_work[node])
        if not (self.workqueue and ahead > 1):
            super()._reschedule(node)

    def _waits(self, file: str) -> bool:
        return bool(_WAITS.search(_text(self.config.rootpath / file)))

    def _lasts(self, file: str) -> bool:
        return bool(_LASTS.search(_text(self.config.rootpath / file)))


@cache
def _text(file: Path) -> str:
    return file.read_text()


# First: xdist has answers of its own.
@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes | None:
    return Lanes(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    beside = SPARE if config.getoption("services") == "production" else WAITING
    return min(os.cpu_count() or 1, MAX_CORES) + beside
