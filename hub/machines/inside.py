"""The secrets by which the hub's own processes know each other."""

from __future__ import annotations

from django.utils.crypto import constant_time_compare, salted_hmac

from hub.people import secrets

# What this process gives to the agent that it starts beside itself.
_NEIGHBOUR = secrets.make("smn_")


def neighbour() -> str:
    return _NEIGHBOUR


def is_neighbour(secret: str) -> bool:
    return constant_time_compare(secret, _NEIGHBOUR)


def probe() -> str:
    """Return the prober's own: the same for every process with our SECRET_KEY."""
    made = salted_hmac("hub.machines.inside", "probe", algorithm="sha256")
    return f"smp_{made.hexdigest()}"


def is_probe(secret: str) -> bool:
    """Whether it speaks for the hub's own test samples, and for nothing else."""
    return constant_time_compare(secret, probe())
