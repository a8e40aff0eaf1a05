"""A small authority and what it vouches for, made within a test."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    pem: bytes
    key: bytes


class Authority:
    def __init__(self, name: str = "an authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named(name)
        self._certificate = self._make(self._name, self._key.public_key(), ca=True)

    @cached_property
    def pem(self) -> str:
        return pem(self._certificate).decode()

    @property
    def fingerprint(self) -> str:
        return f"sha256:{self._certificate.fingerprint(hashes.SHA256()).hex()}"

    def server(
        self, *names: str, begins: timedelta = -DAY, ends: timedelta = 90 * DAY
    ) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._make(
            named(names[0]), key.public_key(), names, begins=begins, ends=ends
        )
        return Certificate(pem(made), private_pem(key))

    def sign(self, request: bytes, name: str) -> bytes:
        """Return a client's certificate, DER."""
        asked = x509.load_der_x509_csr(request)
        assert asked.is_signature_valid
        key = asked.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        made = self._make(named(name), key, (name,), client=True)
        return made.public_bytes(serialization.Encoding.DER)

    def _make(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        names: tuple[str, ...] = (),
        *,
        ca: bool = False,
        client: bool = False,
        begins: timedelta = -DAY,
        ends: timedelta = 90 * DAY,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        )
        if names:
            use = ExtendedKeyUsageOID
            usage = use.CLIENT_AUTH if client else use.SERVER_AUTH
            alternatives = x509.SubjectAlternativeName([alternative(n) for n in names])
            made = made.add_extension(alternatives, False)
            made = made.add_extension(x509.ExtendedKeyUsage([usage]), False)
        return made.sign(self._key, hashes.SHA256())


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
