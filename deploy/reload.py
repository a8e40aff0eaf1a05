"""Run a command, and run it again whenever a Python file of the hub changes.

    python deploy/reload.py COMMAND ARGUMENT…

For working on the code in containers: bind mounts from other systems report no
file events, so it looks.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

HUB = Path(__file__).resolve().parent.parent / "hub"

LOOK_S = 1.0
# As long as the slowest of them takes to end in good order.
END_S = 16.0


def state() -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in HUB.rglob("*.py") if path.exists()}


def end(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def main() -> int:
    ending = False

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal ending
        ending = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    while True:
        seen, process = state(), subprocess.Popen(sys.argv[1:])
        while not ending and state() == seen:
            # A command that failed, on a syntax error say, waits for the next change.
            time.sleep(LOOK_S)
        code = end(process)
        if ending:
            return code
        sys.stderr.write("reload: the code has changed\n")


if __name__ == "__main__":
    sys.exit(main())
