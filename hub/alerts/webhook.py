"""Messages for programs: JSON, signed, sent to the address that was checked.

Without Django, for the courier's own process. docs/notifications.md tells receivers
how to verify a message.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from hub.alerts.guard import Lookup, Policy, Refused, look_up, resolve

VERSION = 1
TOTAL_S = 10.0
MAX_ANSWER_BYTES = 64 * 1024
SCHEMES = {"http": 80, "https": 443}
MAX_URL = 2048


class Failed(Exception):
    """It was not taken (temporary); says what happened in a sentence."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: str
    port: int
    path: str
    # As the Host header says it.
    authority: str


def parse(url: str) -> Target:
    """Take a URL apart. Raises Refused."""
    if len(url) > MAX_URL or any(ord(one) <= 32 or one == "\\" for one in url):
        raise Refused("The address holds characters that do not belong there.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused("The address cannot be understood.") from error
    if parts.scheme not in SCHEMES:
        raise Refused("The address must begin with https:// or http://.")
    if "@" in parts.netloc:
        raise Refused("A user name in the address is not supported.")
    host = parts.hostname or ""
    port = SCHEMES[parts.scheme] if port is None else port
    _check_port(port)
    name = host if host.isascii() else _idna(host)
    shown = f"[{name}]" if ":" in name else name
    authority = shown if port == SCHEMES[parts.scheme] else f"{shown}:{port}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise Refused("Write the path of the address in ASCII (%C3%A9 for é).")
    return Target(parts.scheme, name, port, path, authority)


def _check_port(port: int) -> None:
    # Below 1024 other services listen, and some take a request for commands.
    if port not in SCHEMES.values() and not 1024 <= port <= 65535:
        raise Refused(f"Port {port} is not one of a web server (80, 443, 1024-65535).")


def _idna(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise Refused("The host name cannot be written in ASCII.") from error


def sign(body: bytes, secret: str, *, at: int) -> str:
    """Return the signature of a body and the Unix second at which it was sent."""
    signed = f"{at}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def headers(
    body: bytes, *, secret: str, key: str, clock: Callable[[], float] = time.time
) -> dict[str, str]:
    at = int(clock())
    made = {
        "Content-Type": "application/json",
        "User-Agent": "sysmonstm",
        "X-Sysmonstm-Version": str(VERSION),
        # The same for every attempt: a receiver that saw it has the message.
        "X-Sysmonstm-Delivery": key,
        "X-Sysmonstm-Timestamp": str(at),
    }
    if secret:
        made["X-Sysmonstm-Signature"] = sign(body, secret, at=at)
    return made


def post(
    url: str,
    body: bytes,
    head: dict[str, str],
    *,
    policy: Policy,
    lookup: Lookup = look_up,
    context: ssl.SSLContext | None = None,
    total_s: float = TOTAL_S,
) -> int:
    """Send once, to the address that was checked; return the status.

    Redirects are not followed: they could lead elsewhere. Raises Refused, Failed.
    """
    target = parse(url)
    ends = time.monotonic() + total_s
    addresses = resolve(target.host, target.port, policy, lookup=lookup)
    try:
        wire = _connect(addresses, target, ends, context)
    except OSError as error:
        raise Failed(f"No connection to {target.host}: {_reason(error)}.") from error
    # A timeout of the socket starts anew with each byte; this one does not.
    alarm = threading.Timer(max(0.0, ends - time.monotonic()), _cut, (wire,))
    alarm.daemon = True
    alarm.start()
    try:
        status = _exchange(wire, target, body, head)
    except (OSError, http.client.HTTPException) as error:
        late = time.monotonic() >= ends
        why = f"no answer within {total_s:g} s" if late else _reason(error)
        raise Failed(f"{target.host} did not answer: {why}.") from error
    finally:
        alarm.cancel()
        wire.close()
    if not 200 <= status < 300:
        moved = " (redirects are not followed)" if 300 <= status < 400 else ""
        raise Failed(f"{target.host} answered {status}{moved}.", status)
    return status


def _connect(
    addresses: list[str], target: Target, ends: float, context: ssl.SSLContext | None
) -> socket.socket:
    wire = _first(addresses, target.port, ends)
    if target.scheme == "http":
        return wire
    try:
        # The certificate is that of the name, not of the address.
        context = context or ssl.create_default_context()
        wire.settimeout(max(0.1, ends - time.monotonic()))
        return context.wrap_socket(wire, server_hostname=target.host)
    except OSError:
        wire.close()
        raise


def _first(addresses: list[str], port: int, ends: float) -> socket.socket:
    last: OSError = TimeoutError("timed out")
    for address in addresses:
        left = ends - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left)
        except OSError as error:
            last = error
    raise last


def _exchange(
    wire: socket.socket, target: Target, body: bytes, head: dict[str, str]
) -> int:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = wire
    connection.putrequest(
        "POST", target.path, skip_host=True, skip_accept_encoding=True
    )
    connection.putheader("Host", target.authority)
    connection.putheader("Content-Length", str(len(body)))
    connection.putheader("Connection", "close")
    for name, value in head.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    # Read for the peer's sake, who may see a reset otherwise; shown to nobody.
    if 200 <= answer.status < 300:
        _drain(answer)
    return answer.status


def _drain(answer: http.client.HTTPResponse) -> None:
    try:
        answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException):
        # It has the message: its status came before.
        return


def _cut(wire: socket.socket) -> None:
    try:
        wire.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, http.client.HTTPException):
        return "what it said is not HTTP"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
