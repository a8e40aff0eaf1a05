"""What pip is told to install, with the hash of every file that it may take."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from django.conf import settings

from hub.web.install import stock

STANZA = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.M
)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def dependencies() -> str:
    """Return the agent's lock file, and the hashes of bundled files of its versions."""
    bundled = defaultdict(list)
    for one in stock.bundle():
        bundled[one.requirement].append(one.sha256)
    lines: list[str] = []
    for name, version, hashes in _locked():
        wanted = f"{stock.normal(name)}=={version}"
        lines += _stanza(wanted, {*HASH.findall(hashes), *bundled[wanted]})
    return "".join(lines)


def ours() -> str:
    """Return our own two wheels, as exactly the files that this hub serves."""
    lines: list[str] = []
    for wheel in stock.ours():
        name, version, *_ = wheel.filename.split("-")
        lines += _stanza(f"{stock.normal(name)}=={version}", {wheel.sha256})
    return "".join(lines)


def is_bundled() -> bool:
    """Whether the hub serves all that an agent needs, for some kind of machine."""
    return set(wanted()) <= {one.requirement for one in stock.bundle()}


def wanted() -> list[str]:
    """Return every `name==version` that an agent needs beside our own two."""
    return [f"{stock.normal(name)}=={version}" for name, version, _ in _locked()]


def _locked() -> list[tuple[str, str, str]]:
    lock = settings.BASE_DIR / "requirements" / "agent.txt"
    return STANZA.findall(lock.read_text())


def _stanza(requirement: str, hashes: set[str]) -> Iterator[str]:
    yield f"{requirement} \\\n"
    *most, last = sorted(hashes)
    for digest in most:
        yield f"    --hash=sha256:{digest} \\\n"
    yield f"    --hash=sha256:{last}\n"
