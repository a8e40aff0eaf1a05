"""The hub's own small certificate authority, and who else may vouch for it.

    DATA_DIR/tls/  ca.pem  ca.key          made once, for 20 years
                   server.pem  server.key  for a year; made anew 30 days before

Agents trust ca.pem and nothing else: they are given its fingerprint when they are
enrolled. With a certificate of one's own (GRPC_TLS_CERT) they trust the authorities
of their machine instead. The keys never leave the folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.utils import timezone

from hub.log import get_logger
from hub.machines import certificates
from hub.machines.certificates import Authority

log = get_logger(__name__)

# What agents that trust ca.pem expect the hub to be called, whatever its address.
SERVER_NAME = "sysmonstm-hub"

RENEW_BEFORE = timedelta(days=30)

# What a client certificate says, in the one place that nobody else may fill.
_IDENTITY = "sysmonstm:credential:"


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its certificate with the chain, PEM."""

    key: bytes
    chain: bytes


def fingerprint() -> str:
    """Return what an agent is given to know the hub by; "" with an own certificate."""
    if settings.GRPC_TLS_CERT:
        return ""
    found = x509.load_pem_x509_certificate(ca_pem().encode())
    return f"sha256:{found.fingerprint(hashes.SHA256()).hex()}"


def ca_pem() -> str:
    """Return what agents are to trust; "" = the authorities of their machine."""
    if settings.GRPC_TLS_CERT:
        return ""
    _ensure()
    return _file("ca.pem").read_text()


def server_pair(now: datetime | None = None) -> Pair:
    """Return what the hub shows, made or renewed where it is its own.

    Raises OSError and ValueError when it cannot be read.
    """
    if settings.GRPC_TLS_CERT and settings.GRPC_TLS_KEY:
        pair = Pair(
            settings.GRPC_TLS_KEY.read_bytes(), settings.GRPC_TLS_CERT.read_bytes()
        )
    else:
        _ensure(now)
        pair = Pair(_file("server.key").read_bytes(), _file("server.pem").read_bytes())
    _check(pair)
    return pair


def client_ca() -> bytes:
    """Return who may vouch for an agent, PEM."""
    if settings.GRPC_TLS_CLIENT_CA:
        return bytes(settings.GRPC_TLS_CLIENT_CA.read_bytes())
    _ensure()
    return _file("ca.pem").read_bytes()


def local_trust() -> tuple[bytes, str]:
    """Return what the hub's own programs trust, and the name they expect."""
    chain = server_pair().chain
    if not settings.GRPC_TLS_CERT:
        return _file("ca.pem").read_bytes(), SERVER_NAME
    names = certificates.names_of(x509.load_pem_x509_certificate(chain))
    return chain, names[0] if names else ""


def sign_client(
    request_der: bytes, machine_id: str, credential: int
) -> x509.Certificate:
    """Return a certificate for an agent; raises BadRequest.

    Of the request only the key counts: whose it is says the credential.
    """
    key = certificates.requested_key(request_der)
    _ensure()
    return certificates.make_client(
        _authority(),
        key,
        f"sysmonstm agent {credential}",
        _identity(machine_id, credential),
        timezone.now(),
    )


def issues_certificates() -> bool:
    """Whether agents get theirs from the hub."""
    return not settings.GRPC_TLS_CLIENT_CA


def is_of(pem: bytes, credential: int, machine_id: str) -> bool:
    """Tell whether a verified client certificate belongs to a credential.

    One of somebody else's authority names the machine instead: as its common name or
    as a DNS name.
    """
    try:
        found = x509.load_pem_x509_certificate(pem)
        if issues_certificates():
            return _identity(machine_id, credential) in certificates.uris_of(found)
        named = [
            *certificates.common_names_of(found),
            *certificates.names_of(found),
        ]
        return machine_id in named
    except ValueError:
        return False


# -- files


def _file(name: str) -> Path:
    return Path(settings.DATA_DIR) / "tls" / name


def _ensure(now: datetime | None = None) -> None:
    """Make what is missing or about to end; of several processes one does."""
    if _is_whole(now or timezone.now()):
        return
    with _locked():
        # Another process may have made it meanwhile.
        moment = now or timezone.now()
        if not _file("ca.pem").exists():
            _make_authority(moment)
        if not _is_whole(moment):
            _make_server(moment)


def _is_whole(now: datetime) -> bool:
    try:
        server = x509.load_pem_x509_certificate(_file("server.pem").read_bytes())
        authority = x509.load_pem_x509_certificate(_file("ca.pem").read_bytes())
        _check(Pair(_file("server.key").read_bytes(), _file("server.pem").read_bytes()))
        server.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    in_time = now < server.not_valid_after_utc - RENEW_BEFORE
    return in_time and set(_names()) <= set(certificates.names_of(server))


@contextmanager
def _locked() -> Iterator[None]:
    folder = _file("").parent / "tls"
    # Others may come in, but not look around: the agent beside us reads ca.pem.
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _make_authority(now: datetime) -> None:
    key = certificates.new_key()
    made = certificates.make_authority(key, now)
    # The certificate last: where it is, the key is too.
    _write("ca.key", certificates.private(key))
    _write("ca.pem", certificates.pem(made), mode=0o644)
    log.info("authority.made", folder=str(_file("ca.pem").parent))


def _make_server(now: datetime) -> None:
    key = certificates.new_key()
    made = certificates.make_server(_authority(), key.public_key(), _names(), now)
    _write("server.key", certificates.private(key))
    _write("server.pem", certificates.pem(made))
    log.info("certificate.made", until=made.not_valid_after_utc.isoformat())


def _authority() -> Authority:
    key = serialization.load_pem_private_key(_file("ca.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("ca.key is not what was written")
    found = x509.load_pem_x509_certificate(_file("ca.pem").read_bytes())
    return Authority(found, key)


def _write(name: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file that is whole or absent."""
    path = _file(name)
    made = path.with_name(f".{name}.new")
    made.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(made, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)


def _check(pair: Pair) -> None:
    """Raise ValueError unless key and certificate belong together."""
    key = serialization.load_pem_private_key(pair.key, None)
    found = x509.load_pem_x509_certificate(pair.chain)
    if key.public_key() != found.public_key():
        raise ValueError("the key is not that of the certificate")


def _names() -> list[str]:
    """Return every name and address that the hub is known to be reached by."""
    named = [SERVER_NAME, "localhost", "127.0.0.1", "::1"]
    named += [urlsplit(url).hostname or "" for url in settings.PUBLIC_URLS]
    named += [host.strip("[]") for host in settings.ALLOWED_HOSTS]
    # A leading dot or a star is a pattern of Django's, and no name.
    kept = [name for name in named if name and name[0] not in ".*" and name.isascii()]
    return list(dict.fromkeys(kept))


def _identity(machine_id: str, credential: int) -> str:
    return f"{_IDENTITY}{credential}:{quote(machine_id, safe='')}"
