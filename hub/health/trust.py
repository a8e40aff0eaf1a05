"""Whom agents meet, and whom commands name: the same, or nobody can be let in.

Each process that listens for agents lays down what it shows them; one that makes
commands for new machines compares. They differ when the processes of a hub have
different folders, or different settings.
"""

from __future__ import annotations

from hub import metrics
from hub.checks import grpc_speaks_tls
from hub.health.probe import Unwell
from hub.health.shelf import ShelfDown, get_shelf
from hub.log import get_logger
from hub.machines import authority

log = get_logger(__name__)

# What a process is called, see `metrics.Role`, that listens for agents.
LISTENER = "grpcserve"
# Names on the shelf: this and the process's place.
PREFIX = "authority:"

PLAIN, OWN = "plain text", "a certificate of your own"


def shown() -> str:
    """Return what agents meet by this process's settings. Raises OSError, ValueError.

    Where the hub vouches for itself, it is the fingerprint of its authority.
    """
    return (authority.fingerprint() or OWN) if grpc_speaks_tls() else PLAIN


def tell(*, lifetime_s: float) -> None:
    """Lay it down for the others, once. Raises ShelfDown."""
    try:
        said = shown()
    except (OSError, ValueError) as error:
        # What cannot be read is said where it is to be shown, by hub.rpc.tls.
        log.info("authority.untold", error=str(error))
        return
    name = f"{PREFIX}{metrics.Role.place}"
    get_shelf().put(name, said.encode(), lifetime_s=lifetime_s)


def compare() -> str:
    """Return a sentence. Raises Unwell, OSError and ValueError."""
    try:
        kept = get_shelf().read()
    except ShelfDown:
        return "Not known while Redis is away."
    ours = shown()
    met = {
        name.removeprefix(PREFIX): said.decode(errors="replace")
        for name, said in kept.items()
        if name.startswith(PREFIX)
    }
    for place, theirs in sorted(met.items()):
        if theirs != ours:
            raise Unwell(
                f"At {LISTENER} {place} agents meet {_word(theirs)}, and commands for "
                f"new machines name {_word(ours)}: machines would refuse. Web and "
                f"{LISTENER} must have the same DATA_DIR (or its folder tls copied), "
                "GRPC_HOST, GRPC_TLS and GRPC_TLS_CERT."
            )
    return f"Agents meet {_word(ours)}." if met else f"No {LISTENER} has told yet."


def _word(said: str) -> str:
    if said in (PLAIN, OWN):
        return said
    # Enough to tell two apart.
    return f"the authority {said[:23]}…"
