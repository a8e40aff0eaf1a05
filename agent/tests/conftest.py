"""What the agent's tests share. Nothing here needs the hub or Django."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sysmonstm_agent.collectors.filesystem import Filesystem
from sysmonstm_agent.files import Files

from tests.engine import Engine, listening
from tests.patience import PATIENCE_S

FIXTURES = Path(__file__).parent / "fixtures"

LATER = "-5s-later"

Statvfs = Callable[[str], os.statvfs_result]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests, each on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


class Moving(Files):
    """Kernel files that a test can let change under a collector."""

    def become(self, name: str) -> None:
        self.proc_root = f"{FIXTURES}/{name}/proc"
        self.sys_root = f"{FIXTURES}/{name}/sys"
        self._name = name

    def let_time_pass(self) -> None:
        self.become(f"{self._name.removesuffix(LATER)}{LATER}")


def machine(name: str) -> Moving:
    """Return the kernel files of a machine under fixtures/."""
    files = Moving(linux=True)
    files.become(name)
    return files


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be given up since the machine is slow; who tests that says when."""
    monkeypatch.setattr("sysmonstm_agent.agent.LEAVE_S", PATIENCE_S)
    monkeypatch.setattr("sysmonstm_agent.companion.PART_S", PATIENCE_S)
    given = Filesystem.__init__.__kwdefaults__ or {}
    monkeypatch.setitem(given, "deadline_s", PATIENCE_S)


@pytest.fixture(autouse=True)
def _process_stays() -> Iterator[None]:
    """The agent's command decides on its process's signals and log: not on ours."""
    before = signal.getsignal(signal.SIGPIPE), signal.getsignal(signal.SIGINT)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    signal.signal(signal.SIGPIPE, before[0])
    signal.signal(signal.SIGINT, before[1])
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def web() -> Moving:
    return machine("web")


def room(
    *,
    blocks: int = 1000,
    free: int = 500,
    available: int = 400,
    files: int = 100,
    files_free: int = 75,
) -> os.statvfs_result:
    """Return what statvfs says, in blocks of 4 KiB."""
    block, fragment = 4096, 4096
    return os.statvfs_result(
        (
            *(block, fragment, blocks, free, available),
            *(files, files_free, files_free, 0, 255),
        )
    )


@pytest.fixture
def statvfs() -> Statvfs:
    """Half full, as seen by users, wherever one asks."""
    return lambda point: room()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: the path of a socket may have 107 bytes."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    with listening(folder / "engine.sock") as served:
        yield served
