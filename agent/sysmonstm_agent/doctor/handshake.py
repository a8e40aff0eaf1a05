"""Shake hands as the agent would, and put what goes wrong into a sentence."""

from __future__ import annotations

import socket
import ssl
import time

from sysmonstm_agent.config import Config
from sysmonstm_agent.doctor.finding import Finding, fail, ok, warn
from sysmonstm_agent.hub_address import SERVER_NAME

HANDSHAKE_S = 10.0
SOON_S = 7 * 86_400
# OpenSSL's numbers for what is wrong with a certificate.
EXPIRED = 10
NOT_YET = 9
OTHER_AUTHORITY = (7, 18, 19, 20, 21)
OTHER_NAME = (62, 64)


def tls(config: Config) -> Finding:
    if not config.tls:
        return ok("TLS", "none, as it was asked for.")
    host, _, number = config.target.rpartition(":")
    host = host.strip("[]")
    name = SERVER_NAME if config.ca else host
    try:
        with (
            socket.create_connection((host, int(number)), HANDSHAKE_S) as line,
            context(config).wrap_socket(line, server_hostname=name) as shaken,
        ):
            certificate = shaken.getpeercert() or {}
            version = shaken.version()
    except ssl.SSLCertVerificationError as error:
        return fail("TLS", wrong(error, config, name))
    except ssl.SSLError as error:
        return fail("TLS", broken(error))
    except OSError as error:
        return fail("TLS", f"the hub hung up: {error.strerror or error}.")
    ends_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = int((ends_s - time.time()) / 86_400)
    text = f"{version}, the hub's certificate is good for {days} more days"
    if ends_s - time.time() < SOON_S:
        return warn("TLS", f"{text}: renew it there.")
    return ok("TLS", f"{text}.")


def context(config: Config) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=config.ca or None)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["h2"])
    return made


def wrong(error: ssl.SSLCertVerificationError, config: Config, name: str) -> str:
    if error.verify_code == EXPIRED:
        return (
            "the hub's certificate has expired: renew it there; or the clock of this"
            " machine is wrong."
        )
    if error.verify_code == NOT_YET:
        return "the hub's certificate is of the future: set this machine's clock."
    if error.verify_code in OTHER_NAME:
        return (
            f"the hub's certificate is not made out to {name}: use the name it is made"
            " out to, or give the hub one for this name."
        )
    if error.verify_code in OTHER_AUTHORITY and config.ca:
        return (
            "another authority vouches for what answers there than the hub that this"
            " machine was enrolled at: the hub has a new one, and this machine must be"
            " enrolled again, or somebody poses as it."
        )
    if error.verify_code in OTHER_AUTHORITY:
        return (
            "no public authority vouches for the hub. If it is its own, enrol this"
            " machine with its --fingerprint, or name its ca.pem in COLLECTOR_CA_FILE."
        )
    return f"the hub's certificate is not good: {error.verify_message}."


def broken(error: ssl.SSLError) -> str:
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return (
            "what listens there speaks plain text. Is it the port of the hub's pages?"
            " The hub speaks TLS unless GRPC_TLS=off."
        )
    if error.reason and "CERTIFICATE_REQUIRED" in error.reason:
        return (
            "the hub wants a certificate of this machine: enrol it with --certificate."
        )
    return f"no handshake: {error.reason or error}."
