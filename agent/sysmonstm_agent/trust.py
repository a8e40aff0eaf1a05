"""Learn where a hub is and who vouches for it, before anything secret is said.

Only for commands that a person runs: it loads OpenSSL, which the agent does without.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from sysmonstm_agent.hub_address import BadConfig, address, is_loopback

DOCUMENT = "/install/hub.json"
TIMEOUT_S = 10.0
MAX_BYTES = 64 * 1024
WHERE = "the hub's page Add machine shows it"


class Untrusted(Exception):
    """A sentence for people: the hub was not reached, or is not who it should be."""


@dataclass(frozen=True, slots=True)
class Hub:
    # host:port
    target: str
    tls: bool
    # PEM of its own authority, checked; "" = public ones vouch for it.
    ca: str
    # Of its pages; "" = not known.
    web: str
    # Where agents are enrolled, if they need a certificate first to call elsewhere.
    enrol: str = ""


def ask(url: str, fingerprint: str) -> Hub:
    """Ask a hub's pages how agents reach it. Raises Untrusted."""
    parts = web_address(url)
    text, _ = fetch(parts)
    try:
        found = json.loads(text)
        target, tls, ca = found["grpc"], found["tls"], found["ca"]
        enrol = found.get("enrol", "")
        for named in (target, enrol or target):
            address(named)
        if not (isinstance(tls, bool) and isinstance(ca, str)):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, BadConfig):
        raise Untrusted(
            f"{url} answers, but not as a sysmonstm hub does at {DOCUMENT}."
        ) from None
    if tls:
        ca = check(ca, fingerprint) if ca else vouched(parts, fingerprint)
    return Hub(target, tls, ca if tls else "", url.rstrip("/"), enrol)


def check(pem: str, fingerprint: str) -> str:
    """Return the one certificate with that fingerprint, as PEM. Raises Untrusted."""
    if not fingerprint:
        raise Untrusted(
            "this hub is its own authority: give --fingerprint sha256:… as well, so"
            f" that nobody can pose as the hub; {WHERE}."
        )
    try:
        if pem.count(ssl.PEM_HEADER) != 1:
            raise ValueError
        der = ssl.PEM_cert_to_DER_cert(pem.strip())
    except ValueError:
        raise Untrusted("what vouches for the hub is not one certificate.") from None
    found = fingerprint_of(der)
    if found != normal(fingerprint):
        raise Untrusted(
            f"this is not the hub that was meant: its fingerprint is {found}, not"
            f" {normal(fingerprint)}. Nothing was sent to it."
        )
    # What is trusted is what was compared, and nothing that stands beside it.
    return ssl.DER_cert_to_PEM_cert(der)


def vouched(parts: SplitResult, fingerprint: str) -> str:
    if fingerprint:
        raise Untrusted(
            "a --fingerprint was given, but this hub shows no authority of its own:"
            " it is another hub, or has a certificate from a public authority by now,"
            " and then none is needed."
        )
    if parts.scheme != "https" and not is_loopback(f"{parts.hostname}:1"):
        raise Untrusted(
            "over plain http anybody between may answer for the hub: use its https://"
            " address."
        )
    return ""


def normal(fingerprint: str) -> str:
    digits = fingerprint.strip().lower().removeprefix("sha256:").replace(":", "")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise Untrusted(
            f"--fingerprint must be sha256: and 64 hexadecimal digits; {WHERE}."
        )
    return f"sha256:{digits}"


def fingerprint_of(der: bytes) -> str:
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def web_address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise BadConfig(
            "the hub must be named by the address of its pages, such as"
            f" https://hub.example, not {url!r}."
        )
    return parts


def fetch(parts: SplitResult) -> tuple[bytes, str | None]:
    """Return the hub's document, and the header Date of it. Raises Untrusted."""
    with connection(parts) as line:
        try:
            line.request("GET", parts.path.rstrip("/") + DOCUMENT)
            answer = line.getresponse()
            text = answer.read(MAX_BYTES)
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(
                f"the certificate of {parts.netloc} is not good:"
                f" {error.verify_message}."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Untrusted(f"{parts.netloc} cannot be reached: {error}.") from None
    if answer.status in (301, 302, 303, 307, 308):
        raise Untrusted(
            f"{parts.netloc} sends one on to {answer.getheader('Location')!r}: give the"
            " address that it names."
        )
    if answer.status != 200:
        raise Untrusted(
            f"{parts.netloc} answers {answer.status} {answer.reason} where a hub says"
            f" how agents reach it ({DOCUMENT})."
        )
    return text, answer.getheader("Date")


@contextmanager
def connection(parts: SplitResult) -> Iterator[http.client.HTTPConnection]:
    host = parts.hostname or ""
    made = (
        http.client.HTTPSConnection(
            host, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    )
    try:
        yield made
    finally:
        made.close()


def clock_s(url: str) -> float | None:
    """Return the time by the hub's clock, None = it does not tell. Raises Untrusted."""
    text, date = fetch(web_address(url))
    with suppress(ValueError, KeyError, TypeError):
        return int(json.loads(text)["clock_unix_ms"]) / 1000
    with suppress(ValueError):
        # Told in whole seconds, cut off; by a proxy, perhaps.
        return parsedate_to_datetime(date).timestamp() + 0.5 if date else None
    return None


def resolve(target: str) -> list[str]:
    """Return the addresses of host:port. Raises OSError."""
    host, _, port = target.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
