"""The installer, with everything in it that it must not fetch unchecked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from hub.web.install import requirements, stock

MARK = re.compile(r"@([A-Z]+)@")


class Text(NamedTuple):
    """A file that is served, and what a command pins it by."""

    content: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()


def agent_sh() -> Text:
    """Return the script that installs, the same whatever address asks for it."""
    parts = {
        "BUNDLED": "yes" if requirements.is_bundled() else "no",
        "DEPENDENCIES": requirements.dependencies(),
        "OURS": requirements.ours(),
        "UNIT": unit().content,
        "UNINSTALL": uninstall_sh().content,
    }
    return _filled("agent.sh", parts)


def uninstall_sh() -> Text:
    return Text(_read("templates/install/uninstall.sh"))


def unit() -> Text:
    """Return the systemd unit of the agent."""
    return Text(_read("deploy/sysmonstm-agent.service"))


def requirements_txt() -> Text:
    """Return what pip installs, for those who would rather do it by hand."""
    return Text(requirements.dependencies() + requirements.ours())


def dockerfile(web: str) -> Text:
    """Return what builds an image of the agent from the wheels of this hub."""
    parts = {
        "REQUIREMENTS": requirements_txt().content,
        "HUB": web,
        "HOST": urlsplit(web).netloc,
    }
    return _filled("Dockerfile", parts)


def version() -> str:
    """Return the version of the agent that this hub hands out."""
    *_, agent = stock.ours()
    return agent.filename.split("-")[1]


def _filled(name: str, parts: Mapping[str, str]) -> Text:
    template = _read(f"templates/install/{name}")
    return Text(MARK.sub(lambda mark: parts[mark[1]].rstrip("\n"), template))


def _read(path: str) -> str:
    return (settings.BASE_DIR / path).read_text()
