"""What the agent is told, by environment or by flags, checked before it starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from sysmonstm_proto import limits

from sysmonstm_agent.log import LEVELS
from sysmonstm_agent.spool_folder import default_base


class BadConfig(Exception):
    """A sentence for the person who configured it, which names the variable."""


class Setting(NamedTuple):
    """A variable, the flag that mirrors it, and what it is for."""

    variable: str
    flag: str
    default: str
    help: str


MACHINE_ID = Setting(
    "COLLECTOR_MACHINE_ID", "--machine-id", "", "name of this machine (its host name)"
)
URL = Setting(
    "COLLECTOR_AGGREGATOR_URL",
    "--aggregator-url",
    "localhost:50051",
    "the hub, as host:port, or https://host:port for TLS (localhost:50051)",
)
INTERVAL = Setting(
    "COLLECTOR_COLLECTION_INTERVAL",
    "--interval",
    "5",
    "seconds between two samples, 1 to 300 (5)",
)
TOKEN = Setting(
    "COLLECTOR_TOKEN",
    "--token",
    "",
    "what proves to the hub which machine this is; prefer the variable, flags are"
    " visible to every user of the machine",
)
LOG_LEVEL = Setting("LOG_LEVEL", "--log-level", "info", "debug|info|warning|error")
LOG_FORMAT = Setting("LOG_FORMAT", "--log-format", "json", "json|console")
PROC_ROOT = Setting(
    "COLLECTOR_PROC_ROOT", "--proc-root", "/proc", "where /proc is mounted (/proc)"
)
SYS_ROOT = Setting(
    "COLLECTOR_SYS_ROOT", "--sys-root", "/sys", "where /sys is mounted (/sys)"
)
PROCESS_ARGUMENTS = Setting(
    "COLLECTOR_PROCESS_ARGUMENTS",
    "--process-arguments",
    "masked",
    "command lines of the busiest processes: masked|none|full (masked)",
)
SPOOL_DIR = Setting(
    "COLLECTOR_SPOOL_DIR",
    "--spool-dir",
    "",
    "where samples wait for the hub; `memory`, or set and empty: nowhere on disk"
    " (/var/lib/sysmonstm-agent or ~/.local/state/sysmonstm-agent)",
)
SPOOL_MAX_AGE = Setting(
    "COLLECTOR_SPOOL_MAX_AGE",
    "--spool-max-age",
    "24h",
    "how long samples wait for the hub, such as 30m, 24h, 7d (24h)",
)
SPOOL_MAX_SIZE = Setting(
    "COLLECTOR_SPOOL_MAX_SIZE",
    "--spool-max-size",
    "256M",
    "disk space that they may take, at least 2M, such as 64M, 1G (256M)",
)
SETTINGS = (
    MACHINE_ID,
    URL,
    INTERVAL,
    TOKEN,
    LOG_LEVEL,
    LOG_FORMAT,
    PROC_ROOT,
    SYS_ROOT,
    PROCESS_ARGUMENTS,
    SPOOL_DIR,
    SPOOL_MAX_AGE,
    SPOOL_MAX_SIZE,
)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"k": 1024, "m": 1024**2, "g": 1024**3}
# Nothing older is taken by a hub.
MAX_SPOOL_AGE_S = limits.MAX_AGE_S
MIN_SPOOL_BYTES = 2 * 1024**2


@dataclass(frozen=True, slots=True)
class Config:
    machine_id: str
    target: str
    tls: bool
    interval_s: float
    token: str
    log_level: str
    log_format: Literal["json", "console"]
    proc_root: str
    sys_root: str
    process_arguments: Literal["masked", "none", "full"]
    # None: in memory.
    spool_base: Path | None
    # Whether a person chose that folder.
    spool_named: bool
    spool_max_age_s: int
    spool_max_bytes: int


def load(environment: Mapping[str, str]) -> Config:
    """Read the settings. Raises BadConfig for the first one that makes no sense."""
    # An empty variable is an unset one, as in a compose file: `TOKEN=`.
    values = {s: environment.get(s.variable, "").strip() or s.default for s in SETTINGS}
    target, tls = address(values[URL])
    return Config(
        machine_id=machine_id(values[MACHINE_ID] or os.uname().nodename),
        target=target,
        tls=tls,
        interval_s=interval_s(values[INTERVAL]),
        token=token(values[TOKEN]),
        log_level=one_of(LOG_LEVEL, values[LOG_LEVEL].lower(), LEVELS),
        log_format=log_format(values[LOG_FORMAT].lower()),
        proc_root=folder(PROC_ROOT, values[PROC_ROOT]),
        sys_root=folder(SYS_ROOT, values[SYS_ROOT]),
        process_arguments=process_arguments(values[PROCESS_ARGUMENTS].lower()),
        spool_base=spool_base(environment),
        spool_named=SPOOL_DIR.variable in environment,
        spool_max_age_s=spool_max_age_s(values[SPOOL_MAX_AGE]),
        spool_max_bytes=spool_max_bytes(values[SPOOL_MAX_SIZE]),
    )


def machine_id(text: str) -> str:
    # It becomes a part of addresses on the hub's pages.
    if (
        len(text.encode("utf-8", "replace")) > limits.MAX_TEXT_BYTES
        or not text.isprintable()
        or text in (".", "..")
        or re.search(r"[\s/\\?#%]", text)
    ):
        raise BadConfig(
            f"{MACHINE_ID.variable} must be at most {limits.MAX_TEXT_BYTES} bytes of"
            " printable text without spaces or any of / \\ ? # %,"
            f" not {text[:200]!r}."
        )
    return text


def address(text: str) -> tuple[str, bool]:
    """Return host:port and whether to speak TLS there."""
    scheme, separator, rest = text.partition("://")
    target = (rest if separator else text).rstrip("/")
    # IPv6 goes in brackets, so that the port can be told from it.
    match = re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^\s:/@\[\]?#]+):(\d{1,5})", target)
    if (
        not match
        or not 1 <= int(match[2]) <= 65535
        or (separator and scheme not in ("http", "https"))
    ):
        raise BadConfig(
            f"{URL.variable} must be host:port, http://host:port or"
            f" https://host:port, such as hub.example:50051, not {text!r}."
        )
    return target, scheme == "https" and bool(separator)


def interval_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 300:
        raise BadConfig(
            f"{INTERVAL.variable} must be a number of seconds from 1 to 300,"
            f" not {text!r}."
        )
    return seconds


def token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadConfig(
            f"{TOKEN.variable} must be printable ASCII text without spaces."
        )
    return text


def one_of(setting: Setting, text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise BadConfig(
            f"{setting.variable} must be one of {', '.join(choices)}, not {text!r}."
        )
    return text


def log_format(text: str) -> Literal["json", "console"]:
    one_of(LOG_FORMAT, text, ("json", "console"))
    return "console" if text == "console" else "json"


def process_arguments(text: str) -> Literal["masked", "none", "full"]:
    one_of(PROCESS_ARGUMENTS, text, ("masked", "none", "full"))
    if text == "none":
        return "none"
    return "full" if text == "full" else "masked"


def folder(setting: Setting, text: str) -> str:
    # The default is not checked: there is no /proc where psutil is asked instead.
    if text != setting.default and not os.path.isdir(text):
        raise BadConfig(f"{setting.variable} must be a folder, and {text!r} is none.")
    return text.rstrip("/") or "/"


def spool_base(environment: Mapping[str, str]) -> Path | None:
    text = environment.get(SPOOL_DIR.variable)
    if text is None:
        return default_base(environment)
    text = text.strip()
    if text in ("", "memory"):
        return None
    if not text.startswith("/"):
        raise BadConfig(
            f"{SPOOL_DIR.variable} must be the full path of a folder, or `memory`,"
            f" not {text!r}."
        )
    return Path(text)


def spool_max_age_s(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text.lower())
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if not 60 <= seconds <= MAX_SPOOL_AGE_S:
        raise BadConfig(
            f"{SPOOL_MAX_AGE.variable} must be from 1m to 7d, such as 30m, 24h or 7d,"
            f" not {text!r}."
        )
    return seconds


def spool_max_bytes(text: str) -> int:
    match = re.fullmatch(r"(\d{1,12})(?:([kmg])(?:i?b)?)?", text.lower())
    size = int(match[1]) * BYTES.get(match[2] or "", 1) if match else 0
    if size < MIN_SPOOL_BYTES:
        raise BadConfig(
            f"{SPOOL_MAX_SIZE.variable} must be a size of at least 2M, such as 64M,"
            f" 256M or 1G, not {text!r}."
        )
    return size
