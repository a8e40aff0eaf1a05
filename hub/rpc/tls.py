"""TLS of the server: its certificate is read again when it changes, without a restart.

Open connections keep what they began with; gRPC ends each after four hours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc

from hub.log import get_logger
from hub.machines import authority

log = get_logger(__name__)

# gRPC asks before each handshake; files are looked at no more often than this.
LOOK_EVERY_S = 1.0


class Certificates:
    """What the server shows, and whom it asks to show something."""

    def __init__(
        self, *, asks_clients: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._asks_clients, self._clock = asks_clients, clock
        self._shown = self._read()
        self._looked_s = clock()

    def credentials(self) -> grpc.ServerCredentials:
        return grpc.dynamic_ssl_server_credentials(
            _configuration(*self._shown), self._fetch, self._asks_clients
        )

    def _fetch(self) -> Any:
        """Return what to show from now on; None: the same as before.

        gRPC calls it from threads of its own, one at a time or not.
        """
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return None
        self._looked_s = now_s
        try:
            found = self._read()
        except (OSError, ValueError) as bad:
            # Half written, or wrong: what was read before still stands.
            log.error("certificate.unreadable", error=str(bad))
            return None
        if found == self._shown:
            return None
        self._shown = found
        log.info("certificate.read_again")
        return _configuration(*found)

    def _read(self) -> tuple[authority.Pair, bytes]:
        trusted = authority.client_ca() if self._asks_clients else b""
        return authority.server_pair(), trusted


def _configuration(pair: authority.Pair, trusted: bytes) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(pair.key, pair.chain)], root_certificates=trusted or None
    )
