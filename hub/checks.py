"""System checks: settings that are each valid but unsafe or senseless together."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

# Run by the commands that are one process of several: `grpcserve`, daphne.
SEVERAL_PROCESSES = "several_processes"


@register()
def listens_safely(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse plain text, open doors and SQLite beyond this machine."""
    found: list[CheckMessage] = []
    grpc_is_open = not is_loopback(settings.GRPC_HOST)
    if grpc_is_open and not settings.AGENT_TOKEN:
        found.append(
            Error(
                f"GRPC_HOST={settings.GRPC_HOST} lets any machine send samples.",
                hint="Set AGENT_TOKEN, or GRPC_HOST=127.0.0.1.",
                id="hub.E001",
            )
        )
    if grpc_is_open and not settings.GRPC_ALLOW_PLAINTEXT:
        found.append(
            Error(
                f"GRPC_HOST={settings.GRPC_HOST} carries samples as plain text.",
                hint="Set GRPC_ALLOW_PLAINTEXT=true if the network is your own "
                "(a container network, a VPN), or GRPC_HOST=127.0.0.1.",
                id="hub.E002",
            )
        )
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


def is_loopback(host: str) -> bool:
    """Tell whether a listening address can be reached from this machine alone."""
    if host == "localhost" or host.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
