"""Become another program that ends when its starter ends, even by kill -9.

Run as a script, so that it costs no import of the hub:

    python leash.py PARENT PROGRAM ARGUMENT…

Setting this between fork and exec (`preexec_fn`) is unsafe beside threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have died before the kernel was asked to tell.
    if os.getppid() == parent:
        os.execv(program[0], program)


if __name__ == "__main__":
    main()
