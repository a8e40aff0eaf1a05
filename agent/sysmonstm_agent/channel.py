"""The line to the hub: nothing is said on it before the hub has proved itself."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc import aio
from sysmonstm_proto import limits

from sysmonstm_agent.config import Config
from sysmonstm_agent.hub_address import SERVER_NAME, BadConfig, is_loopback

Metadata = tuple[tuple[str, str], ...]

OPTIONS = (
    # A peer that vanished without a word is noticed after 40 s. The hub permits
    # a ping every 20 s, also on a stream that is quiet.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Since grpc has this one, it is what decides, and its default is 60 s.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Else each message is answered with a ping that estimates the line's bandwidth.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_send_message_length", limits.MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", limits.MAX_MESSAGE_BYTES),
    # Each try is a channel of its own, and must not inherit the waits that grpc
    # keeps for an address: this module decides when to try.
    ("grpc.use_local_subchannel_pool", 1),
)


def connect(config: Config) -> aio.Channel:
    """Raises BadConfig rather than speak plain text for others to hear."""
    if not config.tls:
        refuse_plaintext(config)
        return aio.insecure_channel(config.target, options(config))
    return aio.secure_channel(config.target, credentials(config), options(config))


def refuse_plaintext(config: Config) -> None:
    """Raises BadConfig where what is said could be heard by others."""
    if not config.tls and not config.plaintext and not is_loopback(config.target):
        raise BadConfig(
            f"the hub at {config.target} is another machine, and http:// is plain text"
            " for all between to hear: use https://, or set COLLECTOR_PLAINTEXT=true"
            " if nobody is between."
        )


def options(config: Config) -> list[tuple[str, int | str]]:
    found: list[tuple[str, int | str]] = list(OPTIONS)
    if is_loopback(config.target):
        # A proxy named in the environment is for the world, not for this machine.
        found.append(("grpc.enable_http_proxy", 0))
    if config.tls and config.ca:
        # Only the hub's own authority is trusted then, and that makes one out to
        # this name; the hub may be reached at any address.
        found.append(("grpc.ssl_target_name_override", SERVER_NAME))
    return found


def credentials(config: Config) -> grpc.ChannelCredentials:
    ours = config.credential
    mutual = ours is not None and ours.certificate != "" and ours.key != ""
    return grpc.ssl_channel_credentials(
        root_certificates=config.ca.encode() or None,
        private_key=ours.key.encode() if ours and mutual else None,
        certificate_chain=ours.certificate.encode() if ours and mutual else None,
    )


def bearer(secret: str) -> Metadata:
    return (("authorization", f"Bearer {secret}"),) if secret else ()


async def say_first(call: Any, message: Any) -> None:
    """Write what comes first on a call of ours.

    Raises what `write` raises, and InvalidStateError where the call is ended before
    its metadata were sent: grpc's own write then waits for ever.
    """
    over = asyncio.Event()
    call.add_done_callback(lambda _: over.set())
    ended = asyncio.create_task(over.wait())
    writing = asyncio.create_task(call.write(message))
    try:
        await asyncio.wait({writing, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            raise asyncio.InvalidStateError("the call ended before its first word")
        await writing
    finally:
        ended.cancel()
        writing.cancel()
