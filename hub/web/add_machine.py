"""How to let another machine report to this hub, in commands to copy."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

PLACE = "~/.sysmonstm"


@dataclass(frozen=True, slots=True)
class Step:
    text: str
    command: str


@dataclass(frozen=True, slots=True)
class Steps:
    steps: tuple[Step, ...]
    # What stands in the way on this hub; empty = nothing.
    note: str


def steps(request: HttpRequest) -> Steps:
    """Return the commands, with the address this page was reached at."""
    host = request.get_host().rpartition(":")[0] or request.get_host()
    if request.get_host().endswith("]"):
        host = request.get_host()
    address = f"{host}:{settings.GRPC_PORT}"
    token = " COLLECTOR_TOKEN=…" if settings.AGENT_TOKEN else ""
    return Steps(
        steps=(
            Step(
                "Copy the agent from the folder of this hub to the machine.",
                "scp -r proto agent user@machine:",
            ),
            Step(
                "On the machine, install it. It needs Python 3.11 and no root.",
                f"python3 -m venv {PLACE} && {PLACE}/bin/pip install ./proto ./agent",
            ),
            Step(
                "Start it. The machine appears here by itself, under its host name.",
                f"COLLECTOR_AGGREGATOR_URL={address}{token} "
                f"{PLACE}/bin/sysmonstm-agent",
            ),
        ),
        note=_note(),
    )


def _note() -> str:
    if _only_loopback(settings.GRPC_HOST):
        return (
            "This hub hears agents on this computer only. To let other machines in, "
            "start it with GRPC_HOST=0.0.0.0, an AGENT_TOKEN of your choice and "
            "GRPC_ALLOW_PLAINTEXT=true, and keep the port inside your own network."
        )
    if settings.AGENT_TOKEN:
        return "COLLECTOR_TOKEN is the AGENT_TOKEN that this hub was started with."
    return ""


def _only_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
