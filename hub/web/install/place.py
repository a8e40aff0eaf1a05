"""Where a machine reaches this hub, and what stands in its way."""

from __future__ import annotations

import ipaddress
import shlex
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

from hub.checks import is_loopback

# Addresses for documentation: nothing is sent there, the kernel only says which of
# this machine's addresses it would come from.
SOMEWHERE = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why another machine cannot come in, and the command that changes it."""

    text: str
    command: str = ""


def web(request: HttpRequest) -> str:
    """Return the address of the hub's pages, without a slash at the end."""
    if settings.PUBLIC_URLS:
        return str(settings.PUBLIC_URLS[0]).rstrip("/")
    return f"{request.scheme}://{request.get_host()}"


def grpc(request: HttpRequest) -> str:
    """Return the host and port that agents call."""
    if settings.GRPC_PUBLIC_ADDRESS:
        return str(settings.GRPC_PUBLIC_ADDRESS)
    host = urlsplit(web(request)).hostname or ""
    return (
        f"[{host}]:{settings.GRPC_PORT}"
        if ":" in host
        else (f"{host}:{settings.GRPC_PORT}")
    )


def enrol(request: HttpRequest) -> str:
    """Return where agents are enrolled, "" = where they call anyway.

    They cannot show a certificate before they have one.
    """
    if settings.GRPC_MTLS != "required":
        return ""
    return f"{grpc(request).rpartition(':')[0]}:{settings.GRPC_ENROL_PORT}"


def is_here(request: HttpRequest) -> bool:
    """Whether that address means whichever computer one asks it on."""
    return is_loopback(urlsplit(web(request)).hostname or "")


def obstacle(request: HttpRequest) -> Obstacle | None:
    """Say what keeps other machines out; None = nothing that the hub can see."""
    deaf = _deaf()
    if deaf:
        return Obstacle(
            "This hub listens on loopback only: the command below works on this "
            "computer, and on no other. To let others in, end the hub and start it "
            "like this:",
            _start(deaf),
        )
    if is_here(request):
        return Obstacle(
            f"You reached the hub as {web(request)}, which means another computer "
            "on another computer. Open this page under an address that the machine "
            "can reach, or set PUBLIC_URLS to it; for example:",
            f"{_url(_own_address() or socket.gethostname())}/add-machine/",
        )
    return None


def _deaf() -> list[str]:
    """Return the settings that keep the hub to itself; a proxy may lead in."""
    led_in = {
        "GRPC_HOST": settings.GRPC_PUBLIC_ADDRESS,
        "HTTP_HOST": settings.PUBLIC_URLS,
    }
    return [
        name
        for name, proxy in led_in.items()
        if is_loopback(getattr(settings, name)) and not proxy
    ]


def _start(deaf: list[str]) -> str:
    """Return the command that starts this hub so that others can reach it."""
    names = [socket.gethostname(), _own_address()]
    known = [*settings.ALLOWED_HOSTS, *(name for name in names if name)]
    wanted = {
        **dict.fromkeys(deaf, "0.0.0.0"),
        "ALLOWED_HOSTS": ",".join(dict.fromkeys(known)),
    }
    if "sqlite" in settings.DATABASES["default"]["ENGINE"]:
        wanted["ALLOW_SQLITE"] = "true"
    given = " ".join(f"{name}={shlex.quote(text)}" for name, text in wanted.items())
    # With Redis there are several processes, and this one is heard by agents.
    program = "manage.py grpcserve" if settings.REDIS_URL else "make up"
    return f"{given} {program}"


def _url(host: str) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.HTTP_PORT}"


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((SOMEWHERE, 9))
        except OSError:
            return ""
        found = str(probe.getsockname()[0])
    return "" if ipaddress.ip_address(found).is_loopback else found
