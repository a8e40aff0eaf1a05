"""The hub's wishes, as they come; what became of each goes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from grpc import aio
from sysmonstm_proto import metrics_pb2 as pb
from sysmonstm_proto.metrics_pb2_grpc import ConfigServiceStub

from sysmonstm_agent.companion import Proof
from sysmonstm_agent.in_thread import in_thread
from sysmonstm_agent.log import log
from sysmonstm_agent.tuning import Tuning

Call: TypeAlias = "aio.UnaryStreamCall[pb.WatchConfigRequest, pb.AgentConfig]"

# Between two settings: each is written to the disk, and a hub takes no more reports.
EVERY_S = 0.25
REPORT_S = 10.0
# Between tries to report. After that the call itself is made anew.
PAUSES_S = (0.5, 2.0)


class WatchConfig:
    name = "config"

    def __init__(
        self,
        machine_id: str,
        tuning: Tuning,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._machine_id, self._tuning = machine_id, tuning
        self._chance = chance

    def call(self, channel: aio.Channel, proof: Proof) -> Call:
        self._stub, self._proof = ConfigServiceStub(channel), proof
        return self._stub.WatchConfig(
            pb.WatchConfigRequest(
                machine_id=self._machine_id,
                applied_version=self._tuning.now.version,
                collectors=self._tuning.known,
            ),
            metadata=proof(),
        )

    async def talk(self, call: Call) -> None:
        async for message in call:
            refused = self._tuning.take(message)
            await in_thread("settings", partial(self._tuning.keep, message))
            await self._report(message.version, refused)
            await asyncio.sleep(EVERY_S)

    def part(self) -> None:
        pass

    async def _report(self, version: int, refused: list[str]) -> None:
        """Raises AioRpcError when the hub does not take it, also later."""
        report = pb.ConfigReport(
            machine_id=self._machine_id, version=version, refused=refused
        )
        for pause_s in PAUSES_S:
            try:
                await self._ask(report)
                return
            except aio.AioRpcError as error:
                log.debug("config.unreported", trouble=error.code().name)
            await asyncio.sleep(pause_s * (0.5 + self._chance()))
        await self._ask(report)

    async def _ask(self, report: pb.ConfigReport) -> None:
        await self._stub.ReportConfig(report, metadata=self._proof(), timeout=REPORT_S)
