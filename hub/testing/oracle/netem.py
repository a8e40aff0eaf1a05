"""Loss, delay, reordering and doubling of packets, where the machine permits it.

A user namespace with a network of its own has a loopback of its own: everything
inside suffers, nothing outside notices. The short form of the oracle is run there
again with the line made bad.
"""

from __future__ import annotations

import os
import subprocess
import sys

from hub.testing import compose
from hub.testing.oracle.ledger import Ledger
from hub.testing.progress import say

# What TCP has to bear, on every packet between all processes.
RULES = ("delay", "30ms", "15ms", "reorder", "25%", "loss", "3%", "duplicate", "3%")
LOOPBACK_UP = "ip link set lo up"
KINDS = ("kill agents", "kill a hub round COMMIT", "repeats on the wire")
LIMIT_S = 600


def run(ledger: Ledger) -> None:
    """Add what a run on a bad network found; say loudly when there can be none."""
    if refused := _refused():
        ledger.skipped.append(f"packets lost, reordered, doubled: {refused}")
        return
    only = [word for kind in KINDS for word in ("--only", kind)]
    program = [sys.executable, "-m", "hub.testing.oracle", "--seed", str(ledger.seed)]
    script = f'{LOOPBACK_UP} && {_rule()} && exec "$@"'
    with ledger.round("packets lost and reordered", 1, 1):
        done = subprocess.run(
            _inside(script, *program, *only),
            cwd=compose.ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    say(f"on a bad network:\n{done.stdout}")
    if done.returncode:
        ledger.faults.append(f"on a bad network:\n{done.stdout[-4000:]}{done.stderr}")


def _refused() -> str:
    """Say why there can be no such network; "" = there can."""
    try:
        done = subprocess.run(
            _inside(f"{LOOPBACK_UP} && {_rule()}"),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip() or ("it failed" if done.returncode else "")


def _rule() -> str:
    return " ".join(("tc qdisc add dev lo root netem", *RULES))


def _inside(script: str, *argv: str) -> list[str]:
    # Root has its servers run as another user, whom a new user namespace lacks.
    new = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
    return [*new, "sh", "-c", script, "sh", *argv]
