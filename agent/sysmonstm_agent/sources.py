"""What collectors read besides the kernel's files: sockets and folders.

By itself there is none of it, so that a test meets nothing of the machine it runs
on; `sources` finds this machine's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sysmonstm_agent.hub_address import BadConfig
from sysmonstm_agent.variables import (
    CONTAINER_SOCKET,
    TEXTFILE_DIR,
    TEXTFILE_MAX_AGE,
    Setting,
)

SECONDS = {"m": 60, "h": 3600, "d": 86400}
MAX_TEXTFILE_AGE_S = 30 * 86400
SYSTEM_BUS = "/run/dbus/system_bus_socket"


@dataclass(frozen=True, slots=True)
class Sources:
    # The first of these that there is gets asked for containers.
    container_sockets: tuple[str, ...] = ()
    system_bus: str = ""
    # Where disks and GPUs are: asked for their health only where this is set.
    devices: str = ""
    textfile_dir: Path | None = None
    textfile_max_age_s: float = 2 * 86400.0


NOTHING = Sources()


def sources(
    environment: Mapping[str, str], values: Mapping[Setting, str], state: Path
) -> Sources:
    """Return this machine's. Raises BadConfig."""
    return Sources(
        container_sockets=container_sockets(values[CONTAINER_SOCKET], environment),
        system_bus=system_bus(environment.get("DBUS_SYSTEM_BUS_ADDRESS", "")),
        devices="/dev",
        textfile_dir=textfile_dir(values[TEXTFILE_DIR], state),
        textfile_max_age_s=textfile_max_age_s(values[TEXTFILE_MAX_AGE]),
    )


def container_sockets(text: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return where engines listen: the machine's, then the user's own."""
    if text == "none":
        return ()
    if text:
        return (full_path(CONTAINER_SOCKET, text.removeprefix("unix://")),)
    user = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return (
        "/var/run/docker.sock",
        "/run/podman/podman.sock",
        f"{user}/docker.sock",
        f"{user}/podman/podman.sock",
    )


def system_bus(address: str) -> str:
    """Return the path of the system's D-Bus, as its own variable may say."""
    match = re.match(r"unix:path=([^,;%]+)", address)
    return match[1] if match else SYSTEM_BUS


def textfile_dir(text: str, state: Path) -> Path | None:
    if text == "none":
        return None
    return Path(full_path(TEXTFILE_DIR, text)) if text else state / "textfile"


def full_path(setting: Setting, text: str) -> str:
    if not text.startswith("/"):
        raise BadConfig(
            f"{setting.variable} must be a full path, or `none`, not {text!r}."
        )
    return text


def textfile_max_age_s(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9})([mhd])", text.lower())
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if not 60 <= seconds <= MAX_TEXTFILE_AGE_S:
        raise BadConfig(
            f"{TEXTFILE_MAX_AGE.variable} must be from 1m to 30d, such as 15m, 26h or"
            f" 2d, not {text!r}."
        )
    return float(seconds)
