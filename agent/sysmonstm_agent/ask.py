"""Ask the hub something once, for commands that a person runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import grpc
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import EnrolmentServiceStub

from sysmonstm_agent.channel import bearer, credentials, options, refuse_plaintext
from sysmonstm_agent.config import Config

ASK_S = 10.0

# Said by a hub that did not come as far as looking at the credential, or has none
# of the methods that would.
UNDECIDED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    # Whether the hub takes the credential; neither = it did not say.
    taken: bool
    refused: bool
    text: str


def channel_to(config: Config) -> grpc.Channel:
    """Raises BadConfig rather than speak plain text for others to hear."""
    if not config.tls:
        refuse_plaintext(config)
        return grpc.insecure_channel(config.target, options(config))
    return grpc.secure_channel(config.target, credentials(config), options(config))


def accepted(config: Config, secret: str) -> Verdict:
    """Ask whether the hub takes a credential, and change nothing by it.

    A rotation without a new secret is refused, but only after the credential has
    been looked at: the words of the refusal tell. The agent that runs with it is
    not disturbed.
    """
    with channel_to(config) as channel:
        try:
            EnrolmentServiceStub(channel).Rotate(
                pb.RotateRequest(), timeout=ASK_S, metadata=bearer(secret)
            )
        except grpc.RpcError as error:
            code, details = status(error)
            text = f"{code.name}: {details}"
            refused = code is grpc.StatusCode.UNAUTHENTICATED
            return Verdict(
                taken=not refused and code not in UNDECIDED, refused=refused, text=text
            )
    return Verdict(taken=True, refused=False, text="")


def status(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """Return what an unary call of grpc ended with."""
    call = cast(Any, error)
    return call.code(), call.details() or ""
