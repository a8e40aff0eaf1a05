"""What the agent is told, by environment or by flags, checked before it starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sysmonstm_proto import limits

from sysmonstm_agent import credential
from sysmonstm_agent.credential import Credential, CredentialRefused
from sysmonstm_agent.hub_address import BadConfig as BadConfig
from sysmonstm_agent.hub_address import which_hub
from sysmonstm_agent.log import LEVELS
from sysmonstm_agent.sources import Sources, sources
from sysmonstm_agent.spool_folder import default_base
from sysmonstm_agent.variables import (
    CA_FILE,
    INTERVAL,
    LOG_FORMAT,
    LOG_LEVEL,
    MACHINE_ID,
    PLAINTEXT,
    PROC_ROOT,
    PROCESS_ARGUMENTS,
    ROTATION,
    SETTINGS,
    SPOOL_DIR,
    SPOOL_MAX_AGE,
    SPOOL_MAX_SIZE,
    STATE_DIR,
    SYS_ROOT,
    TOKEN,
    URL,
    Setting,
)

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"k": 1024, "m": 1024**2, "g": 1024**3}
# Nothing older is taken by a hub.
MAX_SPOOL_AGE_S = limits.MAX_AGE_S
MIN_SPOOL_BYTES = 2 * 1024**2


# A hub is not to be asked for a new secret all the time.
MIN_ROTATION_S = 3600
# Longer than any chain of certificates.
MAX_CA_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Config:
    machine_id: str
    target: str
    tls: bool
    interval_s: float
    token: str = field(repr=False)
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
    state_dir: Path
    # PEM of the one authority that is trusted, the hub's own; "" = the public ones.
    ca: str
    # Whether plain text may be spoken to other machines.
    plaintext: bool
    # None = never.
    rotation_s: int | None
    # What collectors read besides the kernel's files.
    sources: Sources
    # What `enrol` kept for this hub.
    credential: Credential | None
    # The variables that the machine's owner has set: a hub does not overrule them.
    chosen: frozenset[str] = frozenset()


def load(environment: Mapping[str, str]) -> Config:
    """Read the settings. Raises BadConfig for the first one that makes no sense."""
    # An empty variable is an unset one, as in a compose file: `TOKEN=`.
    said = {s: environment.get(s.variable, "").strip() for s in SETTINGS}
    values = {s: text or s.default for s, text in said.items()}
    plaintext = boolean(PLAINTEXT, values[PLAINTEXT].lower())
    state = state_dir(environment)
    kept = kept_credential(state)
    pinned = ca(said[CA_FILE])
    hub = which_hub(said[URL], kept, plaintext=plaintext, ca=pinned)
    if not hub.ours:
        kept = None
    return Config(
        machine_id=machine_id(
            said[MACHINE_ID] or (kept.machine_id if kept else os.uname().nodename)
        ),
        target=hub.target,
        tls=hub.tls,
        state_dir=state,
        ca=pinned or (kept.ca if kept else ""),
        plaintext=plaintext or bool(kept and kept.plaintext),
        rotation_s=rotation_s(values[ROTATION].lower()),
        sources=sources(environment, values, state),
        credential=None if said[TOKEN] else kept,
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
        chosen=frozenset(s.variable for s, text in said.items() if text),
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


def state_dir(environment: Mapping[str, str]) -> Path:
    text = environment.get(STATE_DIR.variable, "").strip()
    if text and not text.startswith("/"):
        raise BadConfig(
            f"{STATE_DIR.variable} must be the full path of a folder, not {text!r}."
        )
    return Path(text) if text else default_base(environment)


def kept_credential(folder: Path) -> Credential | None:
    try:
        return credential.load(folder)
    except CredentialRefused as refused:
        raise BadConfig(str(refused)) from None


def ca(path: str) -> str:
    """Return the PEM in a file, "" = no file is named."""
    if not path:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            pem = file.read(MAX_CA_BYTES)
    except (OSError, ValueError) as error:
        raise BadConfig(f"{CA_FILE.variable} cannot be read: {error}.") from None
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise BadConfig(f"{CA_FILE.variable} must name a PEM file, not {path!r}.")
    return pem


def boolean(setting: Setting, text: str) -> bool:
    return one_of(setting, text, ("true", "false")) == "true"


def rotation_s(text: str) -> int | None:
    if text == "never":
        return None
    match = re.fullmatch(r"(\d{1,5})([hd])", text)
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if seconds < MIN_ROTATION_S:
        raise BadConfig(
            f"{ROTATION.variable} must be at least 1h, such as 12h or 30d, or never,"
            f" not {text!r}."
        )
    return seconds


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
        return state_dir(environment)
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
