"""A key of this machine's own and the request for its certificate, for mutual TLS."""

from __future__ import annotations

import base64

from sysmonstm_agent.hub_address import BadConfig


def key_and_request(machine_id: str) -> tuple[str, str]:
    """Return a new key as PEM, and PKCS #10 as base64 of its DER."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError:
        raise BadConfig(
            "--certificate needs the package cryptography: pip install"
            " 'sysmonstm-agent[mtls]'."
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has room for 64 characters; the hub names the machine itself.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, machine_id[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    der = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode(), base64.b64encode(der).decode()
