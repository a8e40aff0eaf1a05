from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.utils import timezone
from pytest_django import Settings

from hub.machines import authority, certificates
from hub.machines.certificates import BadRequest

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@pytest.fixture(autouse=True)
def _own_folder(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.GRPC_TLS_CERT = settings.GRPC_TLS_KEY = None
    settings.GRPC_TLS_CLIENT_CA = None


def request(key: Key | None = None, *, as_authority: bool = False) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(name)
    if as_authority:
        limits = x509.BasicConstraints(ca=True, path_length=None)
        asked = asked.add_extension(limits, critical=True)
    made = asked.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def shown() -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.server_pair().chain)


def test_it_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = authority.fingerprint()
    pair = authority.server_pair()

    assert first.startswith("sha256:")
    assert len(first) == len("sha256:") + 64
    assert (authority.fingerprint(), authority.server_pair()) == (first, pair)
    folder = tmp_path / "tls"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o711
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    secret = ("ca.key", "lock", "server.key", "server.pem")
    assert modes == {**dict.fromkeys(secret, 0o600), "ca.pem": 0o644}


def test_many_that_start_at_once_make_one() -> None:
    found: set[str] = set()
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait(10)
        authority.server_pair()
        found.add(authority.fingerprint())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(found) == 1


def test_the_server_is_known_by_every_name_it_has(settings: Settings) -> None:
    settings.PUBLIC_URLS = ["https://monitor.example.org:8443"]
    settings.ALLOWED_HOSTS = ["hub.local", "[2001:db8::7]", ".example.net", "*"]

    names = certificates.names_of(shown())

    assert set(names) == {
        *(authority.SERVER_NAME, "localhost", "127.0.0.1", "::1"),
        *("monitor.example.org", "hub.local", "2001:db8::7"),
    }


def test_a_new_name_needs_a_new_certificate_of_the_same_authority(
    settings: Settings,
) -> None:
    before, trusted = shown(), authority.fingerprint()

    settings.ALLOWED_HOSTS = ["new.example.org"]

    assert shown() != before
    assert authority.fingerprint() == trusted


def test_it_is_renewed_a_month_before_it_ends() -> None:
    first = authority.server_pair()
    ends = shown().not_valid_after_utc

    early = authority.server_pair(ends - timedelta(days=31))
    late = authority.server_pair(ends - timedelta(days=29))

    assert early == first
    assert late != first
    renewed = x509.load_pem_x509_certificate(late.chain)
    assert renewed.not_valid_after_utc > ends + timedelta(days=300)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _swap(path: Path) -> None:
    path.write_bytes(certificates.private(certificates.new_key()))


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("server.pem", _cut),
        ("server.key", _cut),
        ("server.key", _swap),
        ("server.key", Path.unlink),
    ],
)
def test_what_is_damaged_is_made_anew(
    tmp_path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    trusted = authority.fingerprint()

    spoil(tmp_path / "tls" / name)

    shown().verify_directly_issued_by(
        x509.load_pem_x509_certificate(authority.ca_pem().encode())
    )
    assert authority.fingerprint() == trusted


def test_with_an_own_certificate_there_is_nothing_to_pin(
    settings: Settings, tmp_path: Path
) -> None:
    pair = authority.server_pair()
    for name, content in (("own.pem", pair.chain), ("own.key", pair.key)):
        (tmp_path / name).write_bytes(content)
    settings.GRPC_TLS_CERT = tmp_path / "own.pem"
    settings.GRPC_TLS_KEY = tmp_path / "own.key"

    assert (authority.ca_pem(), authority.fingerprint()) == ("", "")
    assert authority.server_pair() == pair
    # The hub's own programs trust exactly that one, by a name that it has.
    assert authority.local_trust() == (pair.chain, authority.SERVER_NAME)


def test_an_own_certificate_with_another_key_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "own.pem").write_bytes(authority.server_pair().chain)
    _swap(tmp_path / "own.key")
    settings.GRPC_TLS_CERT = tmp_path / "own.pem"
    settings.GRPC_TLS_KEY = tmp_path / "own.key"

    with pytest.raises(ValueError, match="not that of the certificate"):
        authority.server_pair()


def test_a_client_certificate_belongs_to_one_credential() -> None:
    made = certificates.pem(authority.sign_client(request(), "web/1 ü", 17))

    assert authority.is_of(made, 17, "web/1 ü")
    assert not authority.is_of(made, 18, "web/1 ü")
    assert not authority.is_of(made, 17, "web-2")
    assert not authority.is_of(b"garbage", 17, "web/1 ü")
    assert not authority.is_of(authority.server_pair().chain, 17, "web/1 ü")


def test_a_client_certificate_signs_nothing_and_serves_nobody() -> None:
    made = authority.sign_client(request(as_authority=True), "sysmonstm-hub", 1)

    kinds = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    limits = made.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert list(kinds) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not limits.ca
    assert certificates.names_of(made) == []
    assert made.not_valid_after_utc < timezone.now() + timedelta(days=366)


def tampered() -> bytes:
    good = request()
    return good[:-1] + bytes([good[-1] ^ 1])


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"garbage",
        bytes(9000),
        tampered(),
        request(rsa.generate_private_key(65537, 1024)),
        request(ec.generate_private_key(ec.SECP192R1())),
    ],
)
def test_a_request_that_proves_no_key_is_refused(asked: bytes) -> None:
    with pytest.raises(BadRequest):
        authority.sign_client(asked, "web-1", 1)


def test_of_anothers_authority_the_certificate_names_the_machine(
    settings: Settings, tmp_path: Path
) -> None:
    settings.GRPC_TLS_CLIENT_CA = tmp_path / "company.pem"
    key = certificates.new_key()
    own = certificates.Authority(certificates.make_authority(key, timezone.now()), key)
    made = certificates.make_server(
        own, key.public_key(), ["web-1", "web-1.example.org"], timezone.now()
    )

    assert not authority.issues_certificates()
    assert authority.is_of(certificates.pem(made), 17, "web-1")
    assert authority.is_of(certificates.pem(made), 17, "web-1.example.org")
    assert not authority.is_of(certificates.pem(made), 17, "web-2")
