"""How many machines the shared token may make: whoever has it may name any.

An enrolment token says itself how often it may be used, and is not counted here.
"""

from __future__ import annotations

from django.conf import settings

from hub.log import get_logger
from hub.people import throttle

log = get_logger(__name__)

WITHIN_S = 3600.0
# One address may make one in so many of them: others still get theirs.
SHARE_OF_ADDRESS = 5


class TooManyNew(Exception):
    """No machine is made of this now (temporary); the text is a sentence."""


def admit(address: str) -> None:
    """Count one more machine that the shared token makes; raises TooManyNew.

    `address`: where it calls from; "" = this machine, which may be a proxy and so
    anybody.
    """
    limit = settings.AGENT_TOKEN_NEW_PER_HOUR
    share = -(-limit // SHARE_OF_ADDRESS)
    # First: who is refused for that takes nobody else's place.
    if address and not _fits("newcomer.address", address, share):
        raise _refusal(address, f"{share} new machines an hour for one address")
    if not _fits("newcomer", "", limit):
        raise _refusal(address, f"{limit} new machines an hour")


def _fits(kind: str, key: str, limit: int) -> bool:
    return throttle.hit(kind, key, limit=limit, window_s=WITHIN_S)


def _refusal(address: str, bound: str) -> TooManyNew:
    log.warning("newcomer.refused", peer=address)
    return TooManyNew(
        f"The shared token makes {bound}; come back later, or enrol this machine."
    )
