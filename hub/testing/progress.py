"""Say what is being done while a slow program runs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

TICK_S = 3.0
"""Longest silence: a person doubts after about this long."""

LAST_WORDS = 4000


class Broken(Exception):
    """A step failed; the text says which, and how to go on."""


def say(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


def step(
    what: str,
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program quietly and return what it printed.

    Raises Broken with the end of its output when it fails.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            [str(arg) for arg in argv],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while _still_running(process):
                say(f"{what} … {time.monotonic() - started:.0f} s")
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        printed = output.read()
    if process.returncode != 0:
        raise Broken(f"{what}: failed.\n{printed[-LAST_WORDS:].strip()}")
    say(f"{what}: {time.monotonic() - started:.1f} s")
    return printed


def _still_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(TICK_S)
    except subprocess.TimeoutExpired:
        return True
    return False
