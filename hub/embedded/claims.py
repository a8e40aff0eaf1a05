"""Make sure that what a hub needs is free before anything of it starts."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Refused(Exception):
    """The hub cannot start; the text is a sentence for a person."""


@contextmanager
def folder(path: Path) -> Iterator[None]:
    """Hold a data folder for as long as the block lasts.

    Raises Refused when another hub holds it. The kernel lets go of it when the
    process ends, however it ends, so a left-over file stops nobody.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path / "hub.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as refused:
        sentence = f"DATA_DIR: cannot write to {path} ({refused.strerror})."
        raise Refused(sentence) from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 20).decode(errors="replace").strip()
            raise Refused(
                f"DATA_DIR: a hub already runs on {path} (process {holder or '?'}). "
                "Stop it, or choose another folder with DATA_DIR=…"
            ) from None
        os.truncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(file)


def port(name: str, host: str, number: int) -> None:
    """Raise Refused, naming the setting, unless somebody may listen there."""
    try:
        [(family, *_, address), *_] = socket.getaddrinfo(
            host.strip("[]"), number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as unknown:
        raise Refused(
            f"{_host(name)}: {host} is no address here ({unknown})."
        ) from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the servers do: a port that was in use a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as refused:
            raise Refused(_why(name, host, number, refused)) from None


def ports_differ(http_port: int, grpc_port: int) -> None:
    if http_port and http_port == grpc_port:
        raise Refused(
            f"HTTP_PORT and GRPC_PORT are both {http_port}; they must differ."
        )


def reachable(host: str) -> str:
    """Return where a server that listens on `host` can be reached from here."""
    anywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    bare = host.strip("[]")
    return anywhere.get(bare, bare)


def _why(name: str, host: str, number: int, refused: OSError) -> str:
    if refused.errno == errno.EADDRINUSE:
        return (
            f"{name}: port {number} on {host} is in use. Stop the program that uses "
            f"it, or choose another port with {name}=…"
        )
    if refused.errno == errno.EADDRNOTAVAIL:
        return f"{_host(name)}: {host} is not an address of this machine."
    reason = refused.strerror or str(refused)
    return f"{name}: port {number} on {host} cannot be used ({reason})."


def _host(port_name: str) -> str:
    return port_name.replace("_PORT", "_HOST")
