from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.db.models import F
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from bench.seed import report
from hub.machines.models import Machine
from hub.storage.database import DatabaseDown
from hub.storage.models import Cursor, MachineReport
from hub.web import account


def shown(client: Client, machine_id: str = "atlas") -> str:
    return client.get(f"/account/{machine_id}").content.decode()


def terms(html: str) -> dict[str, str]:
    pairs = re.findall(
        r'<dt>([^<]+)</dt><dd>(?:<i>(?:[^<]*)</i>)?<span class="n">([^<]+)</span>', html
    )
    return dict(pairs)


def test_the_numbers_add_up_in_front_of_everybody(
    client: Client, fleet: list[Machine]
) -> None:
    report()

    html = shown(client)

    assert "Every sample is accounted for" in html
    assert 'data-sign="ok"' in html
    assert terms(html) == {
        "Produced": "122",
        "Stored": "120",
        "Evicted": "0",
        "Refused": "0",
        "Spooled": "2",
    }
    for text in ("Repeats absorbed", "right to a second", "38\u00a0ms · 140\u00a0ms"):
        assert text in html


def test_what_is_missing_has_a_red_mark_and_a_number(
    client: Client, fleet: list[Machine]
) -> None:
    report()
    Cursor.objects.filter(machine=fleet[0]).update(stored=F("stored") - 3)

    html = shown(client)

    assert "3\u00a0samples unaccounted for" in html
    assert 'data-sign="critical"' in html
    assert terms(html)["Unaccounted"] == "3"


def test_more_than_was_produced_is_as_bad(client: Client, fleet: list[Machine]) -> None:
    report()
    Cursor.objects.filter(machine=fleet[0]).update(stored=F("stored") + 1)

    html = shown(client)

    assert "1\u00a0sample more than were produced" in html
    assert 'data-sign="critical"' in html


def test_an_agent_that_tells_nothing_is_said_to(
    client: Client, fleet: list[Machine]
) -> None:
    html = shown(client)

    assert "Every sample that came is accounted for" in html
    assert "does not report what it keeps" in html
    assert "Acknowledged in" not in html


def test_losses_and_a_wrong_clock_are_marked(
    client: Client, fleet: list[Machine]
) -> None:
    report()
    MachineReport.objects.update(
        lost=7, clock_skew_ms=-7_260_000, degraded="The disk is full <b>now</b>."
    )

    html = shown(client)

    assert re.search(r'data-level="warning"[^>]*><dt>Lost</dt><dd class="n">7<', html)
    assert "2\u00a0h\u00a01\u00a0min behind" in html
    assert "The disk is full &lt;b&gt;now&lt;/b&gt;." in html
    assert 'data-sign="warning"' in html


def test_the_last_backfill_has_its_exact_moments(
    client: Client, fleet: list[Machine]
) -> None:
    report()

    found = re.search(r'<time datetime="([^"]+)" data-span="([^"]+)">', shown(client))

    assert found
    first, last = (datetime.fromisoformat(text) for text in found.groups())
    assert last - first == timedelta(minutes=6)


def test_the_page_has_the_account_and_explains_every_word(
    client: Client, fleet: list[Machine]
) -> None:
    report()

    html = client.get("/machines/atlas/").content.decode()

    assert "Every sample is accounted for" in html
    for word in account.HELP:
        assert f"<dt>{word}</dt>" in html


def test_a_machine_without_samples_has_no_account(client: Client, db: None) -> None:
    Machine.objects.create(machine_id="new-1")

    assert shown(client, "new-1").strip() == ""
    assert client.get("/machines/new-1/").status_code == 200


def test_the_page_does_without_the_account_when_the_database_fails(
    client: Client, fleet: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(machine: Machine) -> None:
        raise DatabaseDown("as if it were")

    monkeypatch.setattr(account, "account", away)

    html = client.get("/machines/atlas/").content.decode()

    assert "The account is shown as soon as it answers" in html


def test_a_strangers_account_is_not_shown(fleet: list[Machine]) -> None:
    assert Client().get("/account/atlas").status_code == 302


def test_a_machine_page_asks_the_database_few_times(
    client: Client,
    fleet: list[Machine],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    report()
    client.get("/machines/atlas/")

    with django_assert_max_num_queries(13):
        client.get("/machines/atlas/")
