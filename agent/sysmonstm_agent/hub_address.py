"""Where the hub is, and what may be said to it there."""

from __future__ import annotations

import re
from typing import NamedTuple

from sysmonstm_agent.credential import Credential
from sysmonstm_agent.variables import URL

# What the certificate of a hub that is its own authority is made out to, whatever
# the address it is reached at.
SERVER_NAME = "sysmonstm-hub"

# IPv6 goes in brackets, so that the port can be told from it.
TARGET = re.compile(r"(\[[0-9a-fA-F:.%\w]+\]|[^\s:/@\[\]?#]+):(\d{1,5})")
# Not whatever begins with 127: that may be the name of any machine.
LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\]):\d+")


class BadConfig(Exception):
    """A sentence for the person who configured it, which names the variable."""


class Whereabouts(NamedTuple):
    # host:port
    target: str
    tls: bool
    # Whether the credential that was kept may be shown there.
    ours: bool


def which_hub(
    url: str, kept: Credential | None, *, plaintext: bool, ca: str
) -> Whereabouts:
    """Weigh what a person said against what `enrol` has kept."""
    if not url and kept:
        return Whereabouts(kept.hub, kept.tls, ours=True)
    target, tls = address(url or URL.default)
    same = kept is not None and kept.hub == target
    if tls is None:
        tls = kept.tls if kept and same else not (plaintext or is_loopback(target))
    # Elsewhere a secret is shown only to who proves to be the same hub.
    pinned = kept is not None and tls and bool(kept.ca or ca)
    return Whereabouts(target, tls, ours=same or pinned)


def address(text: str) -> tuple[str, bool | None]:
    """Return host:port and whether to speak TLS there, None = not said."""
    scheme, separator, rest = text.partition("://")
    target = (rest if separator else text).rstrip("/")
    match = TARGET.fullmatch(target)
    if (
        not match
        or not 1 <= int(match[2]) <= 65535
        or (separator and scheme not in ("http", "https"))
    ):
        raise BadConfig(
            f"{URL.variable} must be host:port, http://host:port or"
            f" https://host:port, such as hub.example:50051, not {text!r}."
        )
    return target, scheme == "https" if separator else None


def is_loopback(target: str) -> bool:
    return bool(LOOPBACK.fullmatch(target))
