"""Starting, hearing and stopping real programs."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_S
from hub.testing.processes import NotReady, free_port, running

LISTENER = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    time.sleep(600)
"""

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def python(source: str, *args: object) -> list[str]:
    return [sys.executable, "-c", source, *map(str, args)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_a_line_is_waited_for_and_its_groups_returned(log: Path) -> None:
    late = "import time; time.sleep(0.2); print('Sign in: http://x/1', flush=True)"

    with running(*python(late), log=log) as program:
        found = program.wait_for_line(r"Sign in: (\S+)", within_s=PATIENCE_S)

    assert found[1] == "http://x/1"


def test_a_program_that_ends_early_is_not_waited_for(log: Path) -> None:
    with (
        running(*python("raise SystemExit('no space left')"), log=log) as program,
        pytest.raises(NotReady, match=r"ended with 1[^$]*no space left"),
    ):
        program.wait_for_line("ready", within_s=60)


def test_a_silent_program_is_given_up(log: Path) -> None:
    with (
        running(*python("import time; time.sleep(600)"), log=log) as program,
        pytest.raises(NotReady, match="did not print 'ready' within 0 s"),
    ):
        program.wait_for_line("ready", within_s=0.1)


def test_a_port_is_waited_for(log: Path) -> None:
    port = free_port()

    with running(*python(LISTENER, port), log=log) as program:
        program.wait_for_port(port, within_s=PATIENCE_S)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_a_program_that_ignores_sigterm_is_killed(log: Path) -> None:
    with running(*python(STUBBORN), log=log) as program:
        program.wait_for_line("ready", within_s=PATIENCE_S)

        assert program.stop(within_s=0.1) == -signal.SIGKILL


def test_children_do_not_outlive_the_block(log: Path) -> None:
    with running(*python(PARENT), log=log) as program:
        child = int(program.wait_for_line(r"child (\d+)", within_s=PATIENCE_S)[1])
        assert program.family() == [program.pid, child]

        program.stop()
        assert program.family() == [child], "stop ends exactly one"

    assert program.family() == []
