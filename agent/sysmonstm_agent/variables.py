"""The environment variables of the agent, and the flags that mirror them."""

from __future__ import annotations

from typing import NamedTuple


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
    "the hub, as host:port; over TLS unless it is this machine; http://host:port"
    " is plain text (localhost:50051)",
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
    "what proves to the hub that it may hear this machine, where it is not enrolled;"
    " prefer the variable, flags are visible to every user of the machine",
)
PLAINTEXT = Setting(
    "COLLECTOR_PLAINTEXT",
    "--plaintext",
    "false",
    "true: speak plain text to another machine too, for all to hear (false)",
)
CA_FILE = Setting(
    "COLLECTOR_CA_FILE",
    "--ca-file",
    "",
    "PEM file of the hub's own authority, the only one then to be trusted; what"
    " `enrol` wrote, or the public ones",
)
STATE_DIR = Setting(
    "COLLECTOR_STATE_DIR",
    "--state-dir",
    "",
    "where the agent keeps its credential, and the spool unless that has a place of"
    " its own (/var/lib/sysmonstm-agent or ~/.local/state/sysmonstm-agent)",
)
ROTATION = Setting(
    "COLLECTOR_ROTATION",
    "--rotation",
    "30d",
    "how often the credential is replaced, from 1h, such as 12h or 30d; never (30d)",
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
CONTAINER_SOCKET = Setting(
    "COLLECTOR_CONTAINER_SOCKET",
    "--container-socket",
    "",
    "socket of Docker or Podman, which is only read from; none (the usual places)",
)
TEXTFILE_DIR = Setting(
    "COLLECTOR_TEXTFILE_DIR",
    "--textfile-dir",
    "",
    "folder of *.prom files, whose metrics are sent too; none"
    " (textfile in COLLECTOR_STATE_DIR)",
)
TEXTFILE_MAX_AGE = Setting(
    "COLLECTOR_TEXTFILE_MAX_AGE",
    "--textfile-max-age",
    "2d",
    "how old such a file may be, such as 15m, 26h or 2d (2d)",
)
SPOOL_DIR = Setting(
    "COLLECTOR_SPOOL_DIR",
    "--spool-dir",
    "",
    "where samples wait for the hub; `memory`, or set and empty: nowhere on disk"
    " (COLLECTOR_STATE_DIR)",
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
    PLAINTEXT,
    CA_FILE,
    STATE_DIR,
    ROTATION,
    LOG_LEVEL,
    LOG_FORMAT,
    PROC_ROOT,
    SYS_ROOT,
    PROCESS_ARGUMENTS,
    CONTAINER_SOCKET,
    TEXTFILE_DIR,
    TEXTFILE_MAX_AGE,
    SPOOL_DIR,
    SPOOL_MAX_AGE,
    SPOOL_MAX_SIZE,
)
