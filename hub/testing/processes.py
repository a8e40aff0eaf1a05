"""Start a real program, wait for it to speak, stop exactly it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_S = 0.02
GONE_S = 30.0
# Of one that was asked to end, on a busy machine as well.
END_S = 30.0

LAST_WORDS = 4000


class NotReady(Exception):
    """The program ended, or did not do in time what was waited for."""


class Process:
    """A running program, in a session of its own, writing to a log file."""

    def __init__(self, program: subprocess.Popen[bytes], log: Path) -> None:
        self._program = program
        self.log = log
        self.pid = program.pid

    @property
    def returncode(self) -> int | None:
        return self._program.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_line(self, pattern: str, *, within_s: float) -> re.Match[str]:
        """Return the first match of `pattern` in what the program has printed."""
        found: list[re.Match[str]] = []

        def printed() -> bool:
            found.extend(re.finditer(pattern, self.output(), re.MULTILINE))
            return bool(found)

        self.wait_until(printed, f"print {pattern!r}", within_s=within_s)
        return found[0]

    def wait_for_port(self, port: int, *, within_s: float) -> None:
        """Wait until something accepts on the loopback port."""

        def open_() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        self.wait_until(open_, f"listen on {port}", within_s=within_s)

    def wait_until(
        self, done: Callable[[], bool], what: str, *, within_s: float
    ) -> None:
        deadline = time.monotonic() + within_s
        while not done():
            if self.returncode is not None:
                raise NotReady(
                    f"ended with {self.returncode} before it could {what}:\n"
                    + self.output()[-LAST_WORDS:]
                )
            if time.monotonic() > deadline:
                raise NotReady(
                    f"did not {what} within {within_s:.0f} s:\n"
                    + self.output()[-LAST_WORDS:]
                )
            time.sleep(POLL_S)

    def send(self, number: int) -> None:
        if self.returncode is None:
            self._program.send_signal(number)

    def stop(self, *, within_s: float = END_S, by: int = signal.SIGTERM) -> int:
        """Ask it to end, insist after a while; return its exit code."""
        self.send(by)
        try:
            return self._program.wait(within_s)
        except subprocess.TimeoutExpired:
            self._program.kill()
            return self._program.wait()

    def family(self) -> list[int]:
        """Return the pids that live in the program's session, itself included."""
        return [
            int(folder.name)
            for folder in Path("/proc").iterdir()
            if folder.name.isdigit() and _session(folder) == self.pid
        ]

    def end_family(self) -> None:
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._program.wait()
        # Who has lost its parent is gone once the system has taken note of it.
        deadline = time.monotonic() + GONE_S
        while self.family() and time.monotonic() < deadline:
            time.sleep(0.01)


def start(
    *argv: str | Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """Start a program; its output and errors go to `log`, its input is empty."""
    with log.open("ab") as output:
        program = subprocess.Popen(
            [str(arg) for arg in argv],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(program, log)


@contextmanager
def running(
    *argv: str | Path,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    within_s: float = END_S,
) -> Iterator[Process]:
    """Run a program for as long as the block lasts, and nothing of it longer."""
    process = start(*argv, log=log, env=env, cwd=cwd)
    try:
        yield process
    finally:
        process.stop(within_s=within_s)
        process.end_family()


def free_port() -> int:
    """Return a loopback port that nobody has just now.

    Another program may take it before it is used: prefer port 0 where the
    program can say which port it got.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _session(folder: Path) -> int | None:
    try:
        stat = (folder / "stat").read_text()
    except OSError:
        return None
    # The name stands in brackets and may hold anything, brackets too.
    state, _parent, _group, session = stat.rpartition(")")[2].split()[:4]
    return None if state == "Z" else int(session)
