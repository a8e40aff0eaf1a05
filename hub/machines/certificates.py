"""X.509 as this hub uses it: one authority, a server and its agents. Pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=20 * 365)
SERVER_LIFETIME = timedelta(days=365)
CLIENT_LIFETIME = timedelta(days=365)
# Clocks differ.
BACKDATED = timedelta(minutes=5)

# Far longer than any certificate request of ours.
MAX_REQUEST_BYTES = 8 * 1024
MIN_RSA_BITS = 2048

Key = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class BadRequest(ValueError):
    """A certificate request that is not signed; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Authority:
    certificate: x509.Certificate
    key: Key


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def make_authority(key: Key, now: datetime) -> x509.Certificate:
    name = _name("sysmonstm hub authority")
    limits = x509.BasicConstraints(ca=True, path_length=0)
    return (
        _begun(name, name, key.public_key(), now, now + AUTHORITY_LIFETIME)
        .add_extension(limits, critical=True)
        .add_extension(_may_sign(), critical=True)
        .sign(key, hashes.SHA256())
    )


def make_server(
    authority: Authority, key: PublicKey, names: Sequence[str], now: datetime
) -> x509.Certificate:
    """Return a certificate for all the names; the first is its common name."""
    until = min(now + SERVER_LIFETIME, authority.certificate.not_valid_after_utc)
    issuer = authority.certificate.subject
    return (
        _begun(_name(names[0]), issuer, key, now, until)
        .add_extension(_NO_AUTHORITY, critical=True)
        .add_extension(_for(ExtendedKeyUsageOID.SERVER_AUTH), critical=False)
        .add_extension(_alternatives(names), critical=False)
        .add_extension(_issued_by(authority), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def make_client(
    authority: Authority, key: PublicKey, name: str, identity: str, now: datetime
) -> x509.Certificate:
    until = min(now + CLIENT_LIFETIME, authority.certificate.not_valid_after_utc)
    issuer = authority.certificate.subject
    who = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
    return (
        _begun(_name(name), issuer, key, now, until)
        .add_extension(_NO_AUTHORITY, critical=True)
        .add_extension(_for(ExtendedKeyUsageOID.CLIENT_AUTH), critical=False)
        .add_extension(who, critical=False)
        .add_extension(_issued_by(authority), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(found)


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return its DNS names and addresses."""
    found = _alternatives_of(certificate)
    if found is None:
        return []
    addresses = found.get_values_for_type(x509.IPAddress)
    return [*found.get_values_for_type(x509.DNSName), *map(str, addresses)]


def uris_of(certificate: x509.Certificate) -> list[str]:
    found = _alternatives_of(certificate)
    return found.get_values_for_type(x509.UniformResourceIdentifier) if found else []


def _alternatives_of(
    certificate: x509.Certificate,
) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        return None


def requested_key(
    request_der: bytes,
) -> PublicKey:
    if len(request_der) > MAX_REQUEST_BYTES:
        raise BadRequest("The certificate request is too long.")
    try:
        asked = x509.load_der_x509_csr(request_der)
        signed, key = asked.is_signature_valid, asked.public_key()
    except (ValueError, TypeError) as bad:
        raise BadRequest("That is not a certificate request.") from bad
    if isinstance(key, PublicKey) and signed and _is_strong(key):
        return key
    raise BadRequest("The certificate request is not signed, or its key is weak.")


def _is_strong(key: PublicKey) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ed25519.Ed25519PublicKey) or key.key_size >= 256


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def common_names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [str(one.value) for one in found]


_NO_AUTHORITY = x509.BasicConstraints(ca=False, path_length=None)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: PublicKey,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _issued_by(authority: Authority) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(
        authority.key.public_key()
    )


def _for(purpose: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([purpose])


def _may_sign() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
