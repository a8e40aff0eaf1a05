"""Redis hangs, dies and comes back: whoever asks is told, and then answered again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from channels.layers import channel_layers
from cryptography.fernet import Fernet
from msgpack import packb  # type: ignore[import-untyped]
from pytest_django import Settings
from redis import Redis
from sysmonstm_proto import metrics_pb2 as pb

from hub.control import post
from hub.control.ask import POST_AWAY, NoAnswer, ask
from hub.control.tests.agent import managed, serving
from hub.machines.models import Machine
from hub.testing.patience import PATIENCE_S
from hub.testing.services import redis
from hub.testing.unruly import Unruly, unruly_redis

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[Unruly]:
    """A Redis of this test's own, for the layer alone."""
    with redis() as url, unruly_redis(url, tmp_path / "redis.log") as unruly:
        hosts = [{"address": url, "socket_connect_timeout": 2, "socket_timeout": 2}]
        layer = "channels_redis.pubsub.RedisPubSubChannelLayer"
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": layer,
                "CONFIG": {"hosts": hosts, "symmetric_encryption_keys": ["ours"]},
            }
        }
        settings.REDIS_URL = url
        channel_layers.backends.clear()
        yield unruly


async def until_answered(machine: Machine) -> None:
    command = pb.ControlCommand(ping=pb.Ping())
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert (await ask(machine.pk, command, 2)).HasField("pong")
            except NoAnswer:
                await asyncio.sleep(0.2)
            else:
                return


async def is_told_in_time(machine: Machine) -> None:
    before = time.monotonic()
    with pytest.raises(NoAnswer) as told:
        await ask(machine.pk, pb.ControlCommand(ping=pb.Ping()), 30)
    assert str(told.value) == POST_AWAY
    assert time.monotonic() - before < 15


def write(url: str, atlas: Machine) -> int:
    """Put words into the mouths of our processes; return how many heard them."""
    command = pb.ControlCommand(collect_now=pb.CollectNow())
    forged = {
        "machine": atlas.pk,
        "command": command.SerializeToString(),
        "reply": "specific.somebody",
        "timeout_s": 5,
    }
    with Redis.from_url(url) as client:
        [group] = client.pubsub_channels(f"*{post.GROUP}")
        others = Fernet(Fernet.generate_key()).encrypt(packb(forged))
        written = (packb(forged), others, b"", b"\xff", packb([1]))
        return sum(client.publish(group, one) for one in written)


async def test_what_the_layer_stumbles_over_is_as_if_redis_were_away() -> None:
    async def torn() -> None:
        # By redis-py, when another task closes the connection just now.
        raise AttributeError("'NoneType' object has no attribute 'writelines'")

    with pytest.raises(post.PostDown, match="writelines"):
        await post.in_time(torn())


async def test_redis_hangs_dies_and_comes_back(
    atlas: Machine,
    server: Unruly,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as (_, port), managed(port, "atlas") as agent:
        answering = asyncio.create_task(agent.answer_pings())
        await until_answered(atlas)

        assert await asyncio.to_thread(write, settings.REDIS_URL, atlas) == 5
        await until_answered(atlas)
        said = [record.getMessage() for record in caplog.records]
        assert len([one for one in said if "control.unreadable" in one]) == 5
        assert agent.asked == ["ping", "ping"]

        server.pause()
        await is_told_in_time(atlas)
        server.resume()
        await until_answered(atlas)

        await asyncio.to_thread(server.kill)
        await is_told_in_time(atlas)
        again = "Ready to accept conn"
        await asyncio.to_thread(lambda: server.start(ready=again))
        await until_answered(atlas)
        agent.call.cancel()
        await asyncio.wait({answering})

        # Once more, and the process ends meanwhile: that is no fault of its own.
        await asyncio.to_thread(server.kill)
    assert [record for record in caplog.records if record.exc_info] == []
