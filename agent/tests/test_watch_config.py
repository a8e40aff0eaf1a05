"""Settings pushed by a hub, all the way through a whole agent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from sysmonstm_agent import companion, watch_config
from sysmonstm_agent.companion import Companions
from sysmonstm_agent.config import load
from sysmonstm_agent.registry import NAMES
from sysmonstm_agent.tuning import Tuning
from sysmonstm_agent.watch_config import WatchConfig
from sysmonstm_proto import metrics_pb2 as pb

from tests.patience import until
from tests.whole_hub import WholeHub, agent_of


async def test_what_the_hub_wants_is_applied_and_reported(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path) as agent:
        await hub.configs.wishes.put(
            pb.AgentConfig(
                version=7,
                interval_ms=1_000,
                collectors={"cpu": False, "flux": True},
                skip_mounts=["/mnt/*", "../etc"],
                labels={"site": "Wien"},
            )
        )
        await until(lambda: hub.configs.reports)

        report = hub.configs.reports[0]
        assert report.machine_id == "web-1"
        assert report.version == 7
        assert list(report.refused) == [
            "This agent has no collector “flux”.",
            "Of the mounts to skip, “../etc” is no glob: names, * and ? make one.",
        ]
        assert agent.tuning.interval_s == 1
        watch = hub.configs.watches[0]
        assert (watch.machine_id, watch.applied_version) == ("web-1", 0)
        assert tuple(watch.collectors) == NAMES
        # The hub learns of the interval as it learnt of the one before: by Hello.
        await until(lambda: len(hub.metrics.hellos) == 2)
        assert [hello.interval_ms for hello in hub.metrics.hellos] == [5_000, 1_000]
        await until(lambda: len(hub.configs.watches) == 2)
        assert hub.configs.watches[1].applied_version == 7
        await until(lambda: len(hub.metrics.sequences) >= 3)
        assert hub.metrics.sequences == sorted(set(hub.metrics.sequences))
        names = {
            series.attributes["collector"]
            for layout in hub.metrics.of("layout")[-1:]
            for series in layout.layout.series
            if "collector" in series.attributes
        }
        assert "cpu" not in names
        assert "load" in names


async def test_a_restarted_agent_begins_with_what_it_accepted_last(
    tmp_path: Path,
) -> None:
    disk = {"COLLECTOR_SPOOL_DIR": str(tmp_path / "spool")}
    async with WholeHub().serving() as hub:
        async with agent_of(hub, tmp_path, disk):
            wish = pb.AgentConfig(version=3, interval_ms=120_000)
            await hub.configs.wishes.put(wish)
            await until(lambda: hub.configs.reports)
        async with agent_of(hub, tmp_path, disk) as agent:
            assert agent.tuning.interval_s == 120
            await until(lambda: hub.metrics.hellos[-1].interval_ms == 120_000)
            await until(lambda: hub.configs.watches[-1].applied_version == 3)
    found = next((tmp_path / "spool").glob("*/settings"))
    assert found.stat().st_mode & 0o777 == 0o600


async def test_what_the_owner_has_set_stays(tmp_path: Path) -> None:
    owner = {
        "COLLECTOR_COLLECTION_INTERVAL": "2",
        "COLLECTOR_PROCESS_ARGUMENTS": "masked",
    }
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path, owner) as agent:
        wish = pb.AgentConfig(
            version=1,
            interval_ms=10_000,
            processes=pb.ProcessRing(hide_arguments=True, entries=5),
        )
        await hub.configs.wishes.put(wish)
        await until(lambda: hub.configs.reports)

        assert list(hub.configs.reports[0].refused) == [
            "The interval stays 2 s: COLLECTOR_COLLECTION_INTERVAL is set on the"
            " machine.",
            "Command lines stay masked: COLLECTOR_PROCESS_ARGUMENTS is set on the"
            " machine.",
        ]
        assert agent.tuning.interval_s == 2
        assert agent.tuning.arguments == "masked"
        assert agent.tuning.now.ring_entries == 5


async def test_an_older_hub_is_asked_once_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fast = {"COLLECTOR_COLLECTION_INTERVAL": "1"}
    async with WholeHub(old=True).serving() as hub, agent_of(hub, tmp_path, fast):
        await until(lambda: len(hub.metrics.sequences) >= 2)
        names = {task.get_name() for task in asyncio.all_tasks()}

    assert not names & {"config", "control"}
    assert [r.message for r in caplog.records if r.levelname != "INFO"] == []


async def test_a_failing_service_is_tried_again_and_stops_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysmonstm_agent.backoff.BASE_S", 0.05)
    hub = WholeHub()
    tries = 0

    async def broken(request: object, context: aio.ServicerContext[Any, Any]) -> None:
        nonlocal tries
        tries += 1
        await context.abort(grpc.StatusCode.INTERNAL, "A fault of the hub.")

    monkeypatch.setattr(hub.configs, "WatchConfig", broken)
    fast = {"COLLECTOR_COLLECTION_INTERVAL": "1"}
    async with hub.serving(), agent_of(hub, tmp_path, fast):
        await until(lambda: tries >= 4)
        await until(lambda: len(hub.metrics.sequences) >= 2)

    assert len(hub.metrics.hellos) == 1


async def test_companions_end_with_the_stream(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub:
        async with agent_of(hub, tmp_path):
            await until(lambda: hub.controls.call and hub.configs.watches)
            loop = asyncio.get_running_loop()
            began_s = loop.time()
        assert loop.time() - began_s < companion.PART_S / 2
        await until(lambda: hub.controls.call is None)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not names & {"config", "control", "control.worker"}


async def test_each_call_shows_the_secret_of_its_own_time(tmp_path: Path) -> None:
    """It may have been replaced since the line was opened."""
    secrets = iter(["one", "two", "three"])
    tuning = Tuning(load({"COLLECTOR_STATE_DIR": str(tmp_path)}), NAMES, None)
    companions = Companions((WatchConfig("web-1", tuning),))
    async with (
        WholeHub().serving() as hub,
        aio.insecure_channel(f"127.0.0.1:{hub.port}") as channel,
    ):
        companions.meet(channel, lambda: (("authorization", next(secrets)),))
        for version in (1, 2):
            await hub.configs.wishes.put(pb.AgentConfig(version=version))
        await until(lambda: len(hub.configs.reports) == 2)
        await companions.part()

    assert hub.configs.proofs == ["one", "two", "three"]


async def test_a_hub_that_sends_without_end_is_heard_at_a_pace(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for version in range(1, 101):
            await hub.configs.wishes.put(pb.AgentConfig(version=version))
        await until(lambda: len(hub.configs.reports) >= 5)

        assert loop.time() - began_s >= 4 * watch_config.EVERY_S


async def test_a_shut_door_is_not_knocked_at_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, tries = WholeHub(), 0

    async def shut(_request: pb.WatchConfigRequest, context: Any) -> Any:
        nonlocal tries
        tries += 1
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Wrong.")
        yield

    monkeypatch.setattr(hub.configs, "WatchConfig", shut)
    tuning = Tuning(load({"COLLECTOR_STATE_DIR": str(tmp_path)}), NAMES, None)
    companions = Companions((WatchConfig("web-1", tuning),), chance=lambda: 0.0)
    async with (
        hub.serving(),
        aio.insecure_channel(f"127.0.0.1:{hub.port}") as channel,
    ):
        companions.meet(channel, tuple)
        await until(lambda: tries)
        # Without the longer pause it would be there again without any.
        await asyncio.sleep(0.2)
        await companions.part()

    assert tries == 1
