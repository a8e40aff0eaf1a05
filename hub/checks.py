"""System checks: settings that are each valid but unsafe or senseless together."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.http import HttpRequest

PLAIN = (
    "Agents reach this hub in plain text: whoever listens on that network reads their "
    "samples and credentials. Set GRPC_TLS=on and enrol them again."
)

# What is safe together: all that a process needs to ask which serves no pages.
LISTENING = "listening"
# Run by the commands that are one process of several: `grpcserve`, daphne.
SEVERAL_PROCESSES = "several_processes"


@register(LISTENING)
def listens_safely(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse plain text, open doors and SQLite beyond this machine."""
    found: list[CheckMessage] = []
    grpc_is_open = not is_loopback(settings.GRPC_HOST)
    if is_plain_beyond() and not settings.GRPC_ALLOW_PLAINTEXT:
        found.append(
            Error(
                f"GRPC_HOST={settings.GRPC_HOST} carries samples as plain text.",
                hint="Leave GRPC_TLS=auto, or set GRPC_ALLOW_PLAINTEXT=true if the "
                "network is your own (a container network, a VPN).",
                id="hub.E002",
            )
        )
    found += _certificates_fit()
    beyond = grpc_is_open or not is_loopback(settings.HTTP_HOST)
    engine = settings.DATABASES["default"]["ENGINE"]
    if beyond and "sqlite" in engine and not settings.ALLOW_SQLITE:
        found.append(
            Error(
                "The hub listens beyond this machine but keeps samples in SQLite.",
                hint="Set TIMESCALE_URL, or ALLOW_SQLITE=true for a small fleet.",
                id="hub.E003",
            )
        )
    if "*" in settings.ALLOWED_HOSTS and not settings.DEBUG:
        found.append(
            Error(
                "ALLOWED_HOSTS=* accepts forged Host headers.",
                hint="Name the hosts that people type, parted by commas.",
                id="hub.E004",
            )
        )
    return found


def _certificates_fit() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if bool(settings.GRPC_TLS_CERT) != bool(settings.GRPC_TLS_KEY):
        found.append(
            Error(
                "GRPC_TLS_CERT and GRPC_TLS_KEY belong together.",
                hint="Set both, or none: then the hub makes its own.",
                id="hub.E006",
            )
        )
    names = ("GRPC_TLS_CERT", "GRPC_TLS_KEY", "GRPC_TLS_CLIENT_CA")
    for name in names:
        path = getattr(settings, name)
        if path and not os.access(path, os.R_OK):
            found.append(
                Error(
                    f"{name}={path} cannot be read.",
                    hint="Name a PEM file that the hub's user may read.",
                    id="hub.E007",
                )
            )
    if settings.GRPC_MTLS == "required" and not grpc_speaks_tls():
        found.append(
            Error(
                "GRPC_MTLS=required needs TLS, and this hub speaks plain text.",
                hint="Set GRPC_TLS=on.",
                id="hub.E008",
            )
        )
    if settings.GRPC_MTLS == "required" and settings.AGENT_TOKEN:
        found.append(
            Error(
                "AGENT_TOKEN lets agents in without a certificate of their own.",
                hint="Remove AGENT_TOKEN and enrol each agent, or set GRPC_MTLS=off.",
                id="hub.E009",
            )
        )
    return found


# As a deployment check: all others run with every command, `up` included.
@register(SEVERAL_PROCESSES, deploy=True)
def processes_can_meet(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse the memory bus where events must reach another process."""
    if settings.REDIS_URL:
        return []
    return [
        Error(
            "Without REDIS_URL, events stay inside one process: pages would "
            "never hear of a sample.",
            hint="Set REDIS_URL=redis://…, or run everything with manage.py up.",
            id="hub.E005",
        )
    ]


def grpc_speaks_tls() -> bool:
    """Tell whether agents reach this hub over TLS."""
    if settings.GRPC_TLS != "auto":
        return bool(settings.GRPC_TLS == "on")
    beyond = not is_loopback(settings.GRPC_HOST)
    return bool(settings.GRPC_TLS_CERT) or (
        beyond and not settings.GRPC_ALLOW_PLAINTEXT
    )


def is_plain_beyond() -> bool:
    """Tell whether samples and secrets cross a network as plain text."""
    return not (grpc_speaks_tls() or is_loopback(settings.GRPC_HOST))


def warnings(request: HttpRequest) -> dict[str, list[str]]:
    """Give every page what a person must not forget about this hub."""
    found = [PLAIN] if is_plain_beyond() else []
    return {"hub_warnings": found}


def is_loopback(host: str) -> bool:
    """Tell whether a listening address can be reached from this machine alone."""
    if host == "localhost" or host.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
