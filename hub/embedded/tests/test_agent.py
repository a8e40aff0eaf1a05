from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings

from hub.embedded import agent
from hub.testing.patience import PATIENCE_S, until, wait_until
from hub.testing.processes import running

pytestmark = pytest.mark.process

SLEEPER = "import sys, time; print('up', flush=True); time.sleep(600)"


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def _pid_in(file: Path) -> int:
    await until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def _writes_its_pid(file: Path, then: str) -> tuple[str, ...]:
    code = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); {then}"
    return (sys.executable, "-c", code)


async def test_an_agent_that_ends_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "FIRST_WAIT_S", 0.05)
    file = tmp_path / "pid"
    command = _writes_its_pid(file, "time.sleep(600)")
    task = asyncio.create_task(agent.keep_running("127.0.0.1:1", command=command))

    first = await _pid_in(file)
    file.unlink()
    os.kill(first, signal.SIGKILL)
    second = await _pid_in(file)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert first != second
    assert not _alive(second)


async def test_an_agent_that_will_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "END_S", 0.2)
    file = tmp_path / "pid"
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); "
    code = f"{deaf}{_writes_its_pid(file, 'time.sleep(600)')[2]}"
    command = (sys.executable, "-c", code)
    task = asyncio.create_task(agent.keep_running("127.0.0.1:1", command=command))

    pid = await _pid_in(file)
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE_S)

    assert task.cancelled()
    assert not _alive(pid)


def test_the_leash_ends_the_program_when_its_starter_is_killed(tmp_path: Path) -> None:
    starter = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', {str(agent.LEASH)!r},"
        f" str(os.getpid()), sys.executable, '-c', {SLEEPER!r}])\n"
        "print('child', child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    log = tmp_path / "starter.log"
    with running(sys.executable, "-c", starter, log=log) as process:
        child = int(process.wait_for_line(r"child (\d+)", within_s=PATIENCE_S)[1])
        process.wait_for_line("up", within_s=PATIENCE_S)

        process.stop(by=signal.SIGKILL)

        wait_until(lambda: not _alive(child))


def test_the_leash_starts_nothing_when_its_starter_is_already_gone() -> None:
    done = subprocess.run(
        [sys.executable, agent.LEASH, "1", sys.executable, "-c", "print('ran')"],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )

    assert done.stdout == b""


def test_the_agent_is_told_its_hub_and_none_of_the_hubs_secrets() -> None:
    environment = agent._environment(
        {
            "SECRET_KEY": "s",
            "TIMESCALE_URL": "postgresql://u:p@h/d",
            "AGENT_TOKEN": "t",
            "COLLECTOR_MACHINE_ID": "mine",
            "LOG_LEVEL": "DEBUG",
            "PATH": "/bin",
        },
        "127.0.0.1:50051",
        "t",
    )

    assert environment == {
        "COLLECTOR_AGGREGATOR_URL": "127.0.0.1:50051",
        "COLLECTOR_MACHINE_ID": "mine",
        "COLLECTOR_SPOOL_DIR": str(settings.DATA_DIR / "agent"),
        "COLLECTOR_STATE_DIR": str(settings.DATA_DIR / "agent"),
        "COLLECTOR_TOKEN": "t",
        "LOG_LEVEL": "DEBUG",
        "PATH": "/bin",
    }
