"""Who is calling: decided once by `hub.rpc.authenticate`, read by the servicer."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of the credential that a call carries."""

    # The machine that the credential belongs to; "" = it belongs to no single
    # one (the shared token, loopback), and what Hello names counts.
    machine_id: str = ""
    # The person who may read, for calls that read.
    user: User | None = None
    # The keys of the agent's own credential and of its machine; 0 = it has none.
    credential: int = 0
    pk: int = 0
    # Where somebody calls from who has only the shared token, "" = this machine;
    # None = they have something else.
    shared_from: str | None = None

    def machine(self, named: str) -> str:
        """Return the machine that this caller's samples belong to."""
        return self.machine_id or named


# Set by the interceptor for the length of a call. Without one nobody may read,
# and nobody may send: see `MetricsServicer`.
CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
