"""What must hold whoever is at fault; `make mutants` breaks each on purpose."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from sysmonstm_proto import metrics_pb2 as pb

from hub.ingest.caller import Caller
from hub.ingest.tests import wire
from hub.machines.models import Machine
from hub.rpc import authenticate
from hub.rpc.tests.agent import agent, serving
from hub.storage import layouts, raw, raw_postgres, raw_sqlite
from hub.storage.layouts import SeriesInfo
from hub.storage.models import Cursor, Sample
from hub.storage.raw import Incoming
from hub.storage.sample import StoredSample

pytestmark = pytest.mark.django_db(transaction=True)


class PlugPulled(Exception):
    pass


def database() -> Any:
    return raw_postgres if connection.vendor == "postgresql" else raw_sqlite


def batch() -> list[Incoming]:
    machine = Machine.objects.create(machine_id="web-1", interval_s=5)
    layout = layouts.learn([SeriesInfo("system.uptime", "s", "gauge", "", ())])
    now_ms = wire.now_ms()
    one = StoredSample(machine.pk, layout.id, 1, now_ms, now_ms, wire.vector(1.0))
    return [Incoming(one, wire.EPOCH)]


@pytest.mark.parametrize("step", ["insert", "move"])
def test_rows_and_cursor_come_together_or_not_at_all(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arriving = batch()

    def fail(*args: object) -> None:
        raise PlugPulled

    with monkeypatch.context() as broken:
        broken.setattr(database(), step, fail)
        with pytest.raises(PlugPulled):
            raw.write(arriving)
    halfway = Sample.objects.count(), Cursor.objects.filter(sequence__gt=0).count()
    written = raw.write(arriving)

    assert halfway == (0, 0)
    assert (len(written.stored), written.duplicates) == (1, 0)


async def test_a_sample_that_is_only_shown_is_neither_stored_nor_acknowledged() -> None:
    live = pb.MetricsRequest(live=wire.sample(9, 0.5))

    async with serving() as (_, port), agent(port) as web:
        await web.hello()
        await web.send(wire.layout("/"), live, wire.ticks([1], (0.5,)))
        await web.acked(1)

    stored = await sync_to_async(
        lambda: list(Sample.objects.values_list("sequence", flat=True))
    )()
    assert stored == [1]
    assert (await Cursor.objects.aget()).sequence == 1


async def test_samples_belong_to_the_machine_of_the_credential_whatever_hello_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def owned(*args: object) -> tuple[Caller, None]:
        return Caller(machine_id="web-1"), None

    monkeypatch.setattr(authenticate, "decide", owned)
    async with serving() as (_, port), agent(port) as web:
        await web.hello("web-2")
        await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
        await web.acked(1)

    assert [machine.machine_id async for machine in Machine.objects.all()] == ["web-1"]
