"""The list of processes: who may see it, in which order, and what else is said."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.utils import timezone
from sysmonstm_proto import metrics_pb2 as pb

from hub.control.tests.agent import managed, serving
from hub.machines.models import Machine
from hub.people.models import AuditEntry
from hub.storage import states
from hub.storage.hot import get_hot
from hub.storage.sample import StoredSample
from hub.testing.patience import until
from hub.web import asking, processes

HOSTILE = '<script>alert("x")</script>'


def entry(pid: int, name: str, **more: object) -> pb.ProcessEntry:
    return pb.ProcessEntry(pid=pid, name=name, user="ada", **more)  # type: ignore[arg-type]


LIST = pb.ProcessList(
    taken_unix_ms=1_700_000_000_000,
    span_ms=2000,
    total=3,
    entries=[
        entry(30, "postgres", cpu=0.5, memory_bytes=2**30, command="postgres -D /data"),
        entry(10, HOSTILE, cpu=1.25, memory_bytes=2**20, command=f"{HOSTILE} --x"),
        entry(20, "bash", cpu=0.5, read_bytes_per_s=2000, command="-bash"),
    ],
)


def names(order: str, query: str = "") -> list[object]:
    rows = processes.listed(LIST, order, query)["rows"]
    return [row["pid"] for row in rows]


def test_columns_sort_and_turn_round() -> None:
    assert names("cpu") == [10, 20, 30]
    assert names("-cpu") == [20, 30, 10]
    assert names("memory") == [30, 10, 20]
    assert names("name") == [10, 20, 30]
    assert names("-name") == [30, 20, 10]
    assert names("pid") == [10, 20, 30]
    assert names("read") == [20, 10, 30]
    assert names("nonsense") == [10, 20, 30]


def test_the_filter_looks_at_name_user_number_and_command() -> None:
    assert names("pid", "DATA") == [30]
    assert names("pid", "ada -b") == [20]
    assert names("pid", "30") == [30]
    assert names("pid", "nothing") == []


def test_a_list_is_never_longer_than_people_read() -> None:
    many = pb.ProcessList(entries=[entry(n, "x") for n in range(1, 1001)])

    found = processes.listed(many, "cpu", "")

    assert (len(found["rows"]), found["fitting"], found["total"]) == (200, 1000, 1000)


@pytest.mark.django_db
def test_opening_the_list_is_for_operators_and_written_down_once(
    client: Client, operator: User, fleet: list[Machine]
) -> None:
    address = "/processes/atlas/"
    page = client.get(address)
    opening = page.context["opening"]
    asked = client.get("/processes-now/atlas", {"opening": opening})
    client.get("/processes-now/atlas", {"opening": opening})

    assert page.status_code == asked.status_code == 200
    [noted] = AuditEntry.objects.filter(action="command.sent")
    assert (noted.by_name, noted.subject) == ("ada", "atlas")
    assert noted.detail == {"command": "list_processes"}

    # Whoever has not opened the page gets no list, nor one of another machine.
    for given in ("", "x", opening + "x"):
        refused = client.get("/processes-now/atlas", {"opening": given})
        assert refused.status_code == 403
    assert client.get("/processes-now/nas", {"opening": opening}).status_code == 403

    operator.groups.clear()
    assert client.get(address).status_code == 403
    asked = client.get("/processes-now/atlas", {"opening": opening})
    assert asked.status_code == 403
    assert AuditEntry.objects.filter(action="command.sent").count() == 1


@pytest.mark.django_db
def test_another_person_cannot_use_the_opening(
    client: Client, operator: User, fleet: list[Machine]
) -> None:
    opening = client.get("/processes/atlas/").context["opening"]
    other = User.objects.create_superuser("bob")
    client.force_login(other)

    refused = client.get("/processes-now/atlas", {"opening": opening})

    assert refused.status_code == 403


@pytest.mark.django_db(transaction=True)
async def test_the_list_is_what_the_agent_says_now(
    fleet: list[Machine], operator: User
) -> None:
    client = AsyncClient()
    await client.aforce_login(operator)
    page = await client.get("/processes/atlas/")
    opening = page.context["opening"]
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await until(lambda: server.control.lines)
        query = {"opening": opening, "sort": "-pid"}
        asking_ = asyncio.create_task(client.get("/processes-now/atlas", query))
        command = await agent.command()
        await agent.answer(command.request, processes=LIST)
        body = (await asking_).content.decode()

        assert command.HasField("list_processes")
        assert body.index("postgres") < body.index(">bash<")
        assert "125\u00a0%" in body
        assert "1.0\u00a0GiB" in body
        assert HOSTILE not in body
        assert "&lt;script&gt;" in body

        asking_ = asyncio.create_task(client.get("/processes-now/atlas", query))
        command = await agent.command()
        await agent.answer(command.request, refused="Lists are switched off here.")
        body = (await asking_).content.decode()
        assert "The agent refuses: Lists are switched off here." in body


@pytest.mark.django_db
def test_why_there_is_no_answer_is_said(fleet: list[Machine]) -> None:
    atlas = fleet[0]
    assert "not connected for questions" in asking.why_not(atlas)

    never = Machine.objects.create(machine_id="new")
    assert "has never sent a sample" in asking.why_not(never)

    sample = states.latest([atlas])[atlas.pk]
    old_ms = int((time.time() - 200) * 1000)
    old = StoredSample(never.pk, sample.layout, 1, old_ms, old_ms, sample.values)
    get_hot().put([old])
    assert "new is offline: it was last seen 3\u00a0min\u00a0ago" in (
        asking.why_not(never)
    )

    never.left_at = timezone.now() - timedelta(seconds=10)
    assert "was stopped" in asking.why_not(never)


@pytest.mark.django_db
def test_a_machine_that_may_not_be_seen_has_no_list(
    client: Client, operator: User
) -> None:
    assert client.get("/processes/atlas/").status_code == 404
