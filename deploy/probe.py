"""Is the process of this container well? Exit code 0 when it is.

    python deploy/probe.py http|grpc|canary|prober|alertserve

Loads neither Django nor the hub: it runs every few seconds beside each of them.
"""

from __future__ import annotations

import http.client
import os
import sys
from typing import Any

TIMEOUT_S = 3


def http_answers() -> str:
    port = int(os.environ.get("HTTP_PORT", "8000"))
    # A host that the hub knows: it refuses all others, health or not.
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request("GET", "/health", headers={"Host": host})
    status = connection.getresponse().status
    return "" if status == http.client.OK else f"/health answers {status}"


def grpc_serves() -> str:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with _channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S
        )
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return "" if serving else f"gRPC health is {answer.status}"


def _channel() -> Any:
    """Speak as the hub does: see hub/checks.py and hub/machines/authority.py."""
    import grpc

    port = int(os.environ.get("GRPC_PORT", "50051"))
    own = os.environ.get("GRPC_TLS_CERT", "")
    mode = os.environ.get("GRPC_TLS", "auto")
    plain = os.environ.get("GRPC_ALLOW_PLAINTEXT", "").lower() in ("1", "true", "yes")
    beyond = os.environ.get("GRPC_HOST", "127.0.0.1") not in ("127.0.0.1", "localhost")
    tls = mode == "on" or (mode == "auto" and (own or (beyond and not plain)))
    if not tls:
        return grpc.insecure_channel(f"127.0.0.1:{port}")
    if os.environ.get("GRPC_MTLS") == "required":
        port = int(os.environ.get("GRPC_ENROL_PORT") or port + 1)
    ca = own or os.path.join(os.environ.get("DATA_DIR", "var"), "tls", "ca.pem")
    with open(ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    name = _first_name(own) if own else "sysmonstm-hub"
    options = [("grpc.ssl_target_name_override", name)]
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)


def _first_name(certificate: str) -> str:
    from cryptography import x509

    with open(certificate, "rb") as file:
        found = x509.load_pem_x509_certificate(file.read())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.DNSName)[0]


def canary_lives() -> str:
    import redis

    # See hub/health/canary.py: a key that dies when no task renews it.
    url = os.environ["REDIS_URL"]
    with redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    ) as client:
        lives = client.exists("health:canary")
    return "" if lives else "no periodic task was run for three minutes"


def prober_works() -> str:
    import struct
    import time

    import redis

    # See hub/health/shelf.py: each field begins with the moment it is over.
    url = os.environ["REDIS_URL"]
    with redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    ) as client:
        kept = client.hget("health:shelf", "prober")
    fresh = kept is not None and struct.unpack_from("<d", kept)[0] > time.time()
    return "" if fresh else "no test sample has ended for a while"


def alertserve_turns() -> str:
    import tempfile
    import time
    from pathlib import Path

    # See hub/health/management/commands/alertserve.py: touched after every turn.
    alive = Path(tempfile.gettempdir(), f"sysmonstm-alertserve-{os.getuid()}")
    age_s = time.time() - alive.stat().st_mtime
    return "" if age_s < 30 else f"nothing was evaluated for {age_s:.0f} s"


PROBES = {
    "http": http_answers,
    "grpc": grpc_serves,
    "canary": canary_lives,
    "prober": prober_works,
    "alertserve": alertserve_turns,
}


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in PROBES:
        sys.stderr.write(f"usage: probe.py {'|'.join(PROBES)}\n")
        return 2
    try:
        trouble = PROBES[sys.argv[1]]()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not well
        trouble = f"{type(error).__name__}: {error}"
    if trouble:
        sys.stderr.write(f"{trouble}\n")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
