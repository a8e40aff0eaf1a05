"""Replace the credential's secret now and then, over the line that is up."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Awaitable, Callable
from textwrap import wrap

from grpc import aio
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import EnrolmentServiceStub

from sysmonstm_agent.channel import Metadata
from sysmonstm_agent.credential import Credential, CredentialRefused, binary
from sysmonstm_agent.identity import Identity
from sysmonstm_agent.log import log

ASK_S = 15.0
# Agents that were installed together do not come together.
JITTER = 0.1
# What failed is tried again after about this long. The old secret goes on.
RETRY_S = 3600.0
# The clock may be set while this waits.
LOOK_S = 6 * 3600.0


class Rotation:
    def __init__(
        self,
        identity: Identity,
        every_s: int | None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._identity = identity
        self._every_s = every_s
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._task: asyncio.Task[None] | None = None
        # Chosen once: else each look would draw again, and the earliest draw win.
        self._share = 1 + JITTER * (2 * chance() - 1)

    def meet(self, channel: aio.Channel, metadata: Metadata) -> None:
        """The hub has said Welcome on this channel."""
        self._task = asyncio.create_task(self.run(channel, metadata), name="rotation")

    async def part(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def run(self, channel: aio.Channel, metadata: Metadata) -> None:
        """Rotate whenever it is time, for as long as the stream lives."""
        while (kept := self._identity.kept) and self._every_s is not None:
            wait_s = self._wait_s(kept, self._every_s)
            if wait_s > 0:
                await self._sleep(min(wait_s, LOOK_S))
            elif not await self._rotate(kept, channel, metadata):
                await self._sleep(RETRY_S * (0.5 + self._chance()))
            else:
                # What the line was opened with soon ends. The next line is opened
                # with the new one, and looks again.
                return

    def _wait_s(self, kept: Credential, every_s: int) -> float:
        if kept.next:
            # One was interrupted: the hub is asked again, with the same secret.
            return 0.0
        age_s = self._clock() - kept.made
        # A clock that was set back must not put it off for ever.
        return every_s * self._share - max(0.0, age_s)

    async def _rotate(
        self, kept: Credential, channel: aio.Channel, metadata: Metadata
    ) -> bool:
        try:
            secret = await asyncio.to_thread(self._identity.keep_next)
            answer = await EnrolmentServiceStub(channel).Rotate(
                pb.RotateRequest(
                    secret=secret, certificate_request=binary(kept.request)
                ),
                timeout=ASK_S,
                metadata=metadata,
            )
            await asyncio.to_thread(self._identity.promote, pem(answer.certificate))
        except (OSError, CredentialRefused) as error:
            log.warning("credential.not_kept", trouble=str(error))
            return False
        except aio.AioRpcError as error:
            trouble = f"{error.code().name}: {error.details()}"
            log.warning("credential.not_rotated", trouble=trouble)
            return False
        # Samples go first, and the old secret goes on.
        except Exception:  # noqa: BLE001
            log.exception("credential.not_rotated")
            return False
        log.info("credential.rotated", old_until_unix_ms=answer.old_until_unix_ms)
        return True


def pem(der: bytes) -> str:
    """Return a certificate as PEM, "" for none. (OpenSSL is left out here.)"""
    if not der:
        return ""
    lines = wrap(base64.b64encode(der).decode(), 64)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return "\n".join((begin, *lines, end, ""))
