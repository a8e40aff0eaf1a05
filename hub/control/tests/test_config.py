"""Settings go down now and when they change; what became of them comes up."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from hub.control import config, edit
from hub.control.models import AgentSettings, Stand, Standing
from hub.control.tests.agent import serving, watching
from hub.machines.models import Machine, Tag
from hub.testing.patience import PATIENCE_S, until

pytestmark = pytest.mark.django_db(transaction=True)

save = sync_to_async(edit.save)
settings_of = sync_to_async(edit.settings_of)


async def standing(machine: Machine) -> Standing:
    return await Standing.objects.aget(pk=machine.pk)


async def test_settings_are_sent_now_and_when_they_change(
    atlas: Machine, ada: User
) -> None:
    own = await settings_of(atlas)
    await save(own, {"interval_s": 2.5, "collectors": {"disk": False}}, by=ada)
    async with serving() as (_, port), watching(port, "atlas") as agent:
        first = await agent.config()
        assert (first.version, first.interval_ms) == (1, 2500)
        assert dict(first.collectors) == {"disk": False}
        assert list(first.skip_mounts) == []

        everybody = await settings_of(None)
        wanted = {"interval_s": 30, "skip_mounts": ["/mnt/*"], "ring_off": True}
        await save(everybody, wanted, by=ada)
        second = await agent.config()

        # The narrower scope wins, field by field.
        assert (second.version, second.interval_ms) == (2, 2500)
        assert list(second.skip_mounts) == ["/mnt/*"]
        assert second.processes.off


async def test_a_machine_that_gets_a_tag_gets_its_settings_at_once(
    atlas: Machine, nas: Machine, database_tag: Tag, ada: User
) -> None:
    await save(
        await settings_of(database_tag), {"labels": {"role": "database"}}, by=ada
    )
    async with (
        serving() as (_, port),
        watching(port, "atlas") as agent,
        watching(port, "nas") as other,
    ):
        assert dict((await agent.config()).labels) == {}
        assert (await other.config()).version == 1

        await sync_to_async(atlas.tags.add)(database_tag)
        config = await agent.config()
        assert (config.version, dict(config.labels)) == (2, {"role": "database"})

        await sync_to_async(atlas.tags.remove)(database_tag)
        config = await agent.config()
        assert (config.version, dict(config.labels)) == (3, {})
        assert await other.is_silent()


async def test_without_an_event_a_change_is_found_by_looking(
    atlas: Machine, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.control.changed._tell", lambda payload: None)
    async with serving(poll_s=0.1) as (_, port), watching(port, "atlas") as agent:
        await agent.config()
        await asyncio.sleep(0.3)

        await save(await settings_of(atlas), {"interval_s": 9}, by=ada)
        assert (await agent.config()).interval_ms == 9000


async def test_what_an_agent_reports_is_kept(atlas: Machine, ada: User) -> None:
    own = await settings_of(atlas)
    await save(own, {"interval_s": 2}, by=ada)
    async with (
        serving() as (_, port),
        watching(port, "atlas", collectors=("disk", "cpu", "<b>")) as agent,
    ):
        first = await agent.config()
        found = await standing(atlas)
        assert found.stand is Stand.WAITING
        # Such a name is not kept.
        assert found.collectors == ["cpu", "disk"]

        await agent.report(first.version, "There is no\ncollector \x1b[31m“x”.")
        found = await standing(atlas)
        assert found.stand is Stand.REFUSED
        assert found.refused == ["There is no collector  [31m“x”."]

        await asyncio.sleep(config.REPORT_EVERY_S)
        await agent.report(first.version)
        assert (await standing(atlas)).stand is Stand.APPLIED

        await save(own, {"interval_s": 3}, by=ada)
        second = await agent.config()
        assert (await standing(atlas)).stand is Stand.WAITING
        # A version that was never sent is not believed.
        await asyncio.sleep(config.REPORT_EVERY_S)
        await agent.report(second.version + 5)
        assert (await standing(atlas)).reported_version == first.version


async def test_reports_of_one_machine_are_bounded(
    atlas: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as (_, port), watching(port, "atlas") as agent:
        await agent.config()
        await agent.report(1, *["s" * 50_000] * 10)
        # Nor is the log theirs to fill.
        [said] = [one.getMessage() for one in caplog.records if "refused" in one.msg]
        assert 300 < len(said) < 2_000
        reports = [agent.report(1) for _ in range(20)]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asyncio.gather(*reports)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_version_is_never_below_what_the_agent_has(atlas: Machine) -> None:
    async with serving() as (_, port):
        async with watching(port, "atlas") as agent:
            assert (await agent.config()).version == 1
        async with watching(port, "atlas", applied=41) as agent:
            assert (await agent.config()).version == 42
        # No hub has ever given this one.
        async with watching(port, "atlas", applied=2**63) as agent:
            assert (await agent.config()).version == 42


async def test_the_newest_call_of_a_machine_wins(atlas: Machine) -> None:
    async with serving() as (server, port), watching(port, "atlas") as old:
        await old.config()
        async with watching(port, "atlas") as new:
            await new.config()

            code, _ = await old.end()

            assert code is grpc.StatusCode.ABORTED
            await until(lambda: len(server.config) == 1)
        await until(lambda: not len(server.config))


async def test_an_unknown_machine_comes_back_later(db: None) -> None:
    async with serving() as (_, port), watching(port, "stranger") as agent:
        code, _ = await agent.end()

    assert code is grpc.StatusCode.UNAVAILABLE
    assert not await AgentSettings.objects.aexists()


async def test_a_stopping_hub_ends_its_calls(atlas: Machine) -> None:
    async with serving() as (server, port), watching(port, "atlas") as agent:
        await agent.config()

        await asyncio.wait_for(server.stop(), PATIENCE_S)

        code, _ = await agent.end()
        assert code is grpc.StatusCode.UNAVAILABLE
