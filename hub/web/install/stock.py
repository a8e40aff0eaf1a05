"""The wheels that the hub hands out: its own two, and those of an offline bundle.

A bundle is a folder of wheels, `DATA_DIR/bundle`, filled by `manage.py agentbundle`:
with it a machine needs no package index.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from hub.web.install import wheel
from hub.web.install.wheel import Wheel

# Installed in this order; the agent needs the wire.
OURS = ("proto", "agent")
WHEEL = re.compile(r"[A-Za-z0-9._+!-]+\.whl")


class Bundled(NamedTuple):
    path: Path
    sha256: str

    @property
    def requirement(self) -> str:
        """The `name==version` that it fits, in the form of a lock file."""
        name, version, *_ = self.path.name.split("-")
        return f"{normal(name)}=={version}"


def normal(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def ours() -> list[Wheel]:
    """Return the wheels of the wire and the agent."""
    return [_built(name) for name in OURS]


def bundle() -> list[Bundled]:
    """Return what the bundle holds; most hubs have none."""
    folder = bundle_folder()
    if not folder.is_dir():
        return []
    return [
        Bundled(path, _sha256(path, path.stat().st_mtime_ns))
        for path in sorted(folder.iterdir())
        # A link may lead out of the folder.
        if WHEEL.fullmatch(path.name) and path.is_file() and not path.is_symlink()
    ]


def bundle_folder() -> Path:
    return settings.DATA_DIR / "bundle"


def forget() -> None:
    """Make the wheels anew when they are next asked for, for tests."""
    _built.cache_clear()


@cache
def _built(name: str) -> Wheel:
    # Once: what a command names is what is served until this process ends, also
    # while somebody works on the checkout.
    return wheel.build(settings.BASE_DIR / name)


@lru_cache(maxsize=256)
def _sha256(path: Path, _changed: int) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
