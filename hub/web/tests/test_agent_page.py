"""The page of a machine's agent: settings, where it stands, questions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from sysmonstm_proto import metrics_pb2 as pb

from hub.control import compile, edit, reports
from hub.control.models import Standing
from hub.control.tests.agent import managed, serving
from hub.machines.models import Machine, Tag
from hub.people.models import AuditEntry
from hub.testing.patience import until

SETTLE = "/settle/atlas"


@pytest.fixture
def atlas(fleet: list[Machine]) -> Machine:
    return fleet[0]


@pytest.mark.django_db
def test_settings_are_saved_from_the_page_and_written_down(
    client: Client, operator: User, atlas: Machine
) -> None:
    compile.standings([atlas.pk])
    Standing.objects.filter(pk=atlas.pk).update(collectors=["disk", "network"])
    typed = {
        "interval_s": "2.5",
        "skip_mounts": "/mnt/*\n\n /boot \n",
        "skip_devices": "none",
        "ring_off": "on",
        "labels": "role=db\nrack = 7",
        "collector_disk": "off",
        "collector_gone": "on",
    }

    answer = client.post(SETTLE, typed)

    body = answer.content.decode()
    assert "Saved as revision 1." in body
    assert answer["HX-Trigger-After-Swap"] == "settled"
    standing = compile.standings([atlas.pk])[atlas.pk]
    assert standing.version == 2
    assert standing.wanted == {
        "interval_s": 2.5,
        "skip_mounts": ["/mnt/*", "/boot"],
        "skip_devices": [],
        "ring_off": True,
        "labels": {"role": "db", "rack": "7"},
        "collectors": {"disk": False},
    }
    [noted] = AuditEntry.objects.filter(action="settings.changed")
    assert (noted.by_name, noted.subject) == ("ada", "atlas")
    assert "Interval: 2.5\u00a0s" in noted.detail["wanted"]
    # Shown again as it was typed, and saved again it changes nothing.
    page = client.get("/agent/atlas/").content.decode()
    assert 'value="2.5"' in page
    form = client.get("/agent/atlas/").context["form"]
    again = {name: value for name, value in form.initial.items() if value is not None}
    assert "Nothing has changed." in client.post(SETTLE, again).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"interval_s": "0.1"}, "The interval must be 1 to 300 seconds."),
        ({"interval_s": "soon"}, "Enter a number."),
        ({"skip_devices": "/dev/sda"}, "is no device: write sda, not /dev/sda."),
        ({"labels": "role"}, "is no label: write name=text."),
        ({"skip_mounts": "/a/../b"}, "is no name: .. leads elsewhere."),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(
    client: Client,
    operator: User,
    atlas: Machine,
    typed: dict[str, str],
    sentence: str,
) -> None:
    body = client.post(SETTLE, typed).content.decode()

    assert "Not saved: see what is marked." in body
    assert sentence in body
    assert not edit.settings_of(atlas).revisions.exists()
    assert not AuditEntry.objects.filter(action="settings.changed").exists()


@pytest.mark.django_db
def test_an_earlier_revision_is_one_click_away(
    client: Client, operator: User, atlas: Machine
) -> None:
    for interval in ("2", "3"):
        client.post(SETTLE, {"interval_s": interval})

    body = client.post("/bring-back/1/atlas").content.decode()

    assert "Saved as revision 3." in body
    assert compile.standings([atlas.pk])[atlas.pk].wanted == {"interval_s": 2.0}
    client.post("/bring-back/0/atlas")
    assert compile.standings([atlas.pk])[atlas.pk].wanted == {}
    assert client.post("/bring-back/77/atlas").status_code == 404
    assert AuditEntry.objects.filter(action="settings.changed").count() == 4


@pytest.mark.django_db
def test_a_viewer_sees_whose_word_it_is_and_changes_nothing(
    client: Client, user: User, atlas: Machine
) -> None:
    tag = Tag.objects.create(name="db")
    atlas.tags.add(tag)
    edit.save(edit.settings_of(None), {"interval_s": 30, "ring_off": True}, by=None)
    edit.save(edit.settings_of(tag), {"interval_s": 10}, by=None)

    page = client.get("/agent/atlas/")
    effects = {one.title: (one.text, one.origin) for one in page.context["effects"]}

    assert effects["Interval"] == ("10\u00a0s", "tag db")
    assert effects["Busy processes"] == ("not watched", "every machine")
    assert "labels" in page.context["unsaid"]
    assert "Labels" not in effects
    body = page.content.decode()
    assert "Ask the agent" not in body
    assert "/processes/atlas/" not in body
    for address in (SETTLE, "/bring-back/1/atlas", "/ask/ping/atlas"):
        assert client.post(address).status_code == 403
    assert not edit.settings_of(atlas).revisions.exists()


@pytest.mark.django_db
def test_what_the_agent_refuses_is_shown(client: Client, atlas: Machine) -> None:
    def shown() -> str:
        return client.get("/agent-standing/atlas").content.decode()

    assert "has not asked for its settings" in shown()
    edit.save(edit.settings_of(atlas), {"interval_s": 2}, by=None)
    version = Standing.objects.get(pk=atlas.pk).version
    reports.report(atlas.pk, version, ["The <b>interval</b> is too short."])

    assert "but for what the agent refuses" in shown()
    assert "The &lt;b&gt;interval&lt;/b&gt; is too short." in shown()
    reports.report(atlas.pk, version, [])
    assert "Applied." in shown()
    edit.save(edit.settings_of(atlas), {"interval_s": 3}, by=None)
    assert "Wanted, but not applied yet." in shown()


ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "ping": ({"pong": pb.Pong(clock_unix_ms=1)}, "There and back"),
    "diagnose": (
        {
            "diagnostics": pb.Diagnostics(
                agent_version="9.8.7",
                uptime_s=100,
                cpu_s=0.1,
                collectors=[pb.CollectorState(name="disk", failure="<i>no</i>")],
            )
        },
        "&lt;i&gt;no&lt;/i&gt;",
    ),
    "connections": (
        {
            "connections": pb.ConnectionSummary(
                counts=[pb.ConnectionCount(protocol="tcp", state="TIME_WAIT", count=7)]
            )
        },
        "time wait",
    ),
    "collect": (
        {
            "collected": pb.MachineState(
                readings=[pb.Reading(metric=pb.Metric(name="system.x", unit="1"))]
            )
        },
        "system.x",
    ),
}


@pytest.mark.django_db(transaction=True)
async def test_each_question_is_answered_and_written_down(
    atlas: Machine, operator: User
) -> None:
    client = AsyncClient()
    await client.aforce_login(operator)
    async with serving() as (server, port), managed(port, "atlas") as agent:
        await until(lambda: server.control.lines)
        for kind, (answer, shown) in ANSWERS.items():
            asked = asyncio.create_task(client.post(f"/ask/{kind}/atlas"))
            await agent.answer((await agent.command()).request, **answer)
            assert shown in (await asked).content.decode()
        asked = asyncio.create_task(client.post("/ask/diagnose/atlas"))
        await agent.answer((await agent.command()).request, refused="No.")
        assert "The agent refuses: No." in (await asked).content.decode()
        # The protocol knows nothing else, and neither do the pages.
        assert (await client.post("/ask/shell/atlas")).status_code == 404
        assert (await client.post("/ask/live_mode/atlas")).status_code == 404
        # A question changes the audit log: it is no link.
        assert (await client.get("/ask/ping/atlas")).status_code == 405

    noted = AuditEntry.objects.filter(action="command.sent").order_by("pk")
    commands = [one.detail["command"] async for one in noted]
    assert commands == [*ANSWERS, "diagnose"]
