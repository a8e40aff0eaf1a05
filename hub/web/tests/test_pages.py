"""Each page as a browser asks for it, on whichever database the run has."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from bench.seed import fill
from hub.machines.models import Machine, Tag
from hub.machines.registry import Arrival, arrive
from hub.storage.hot import get_hot
from hub.storage.states import latest
from hub.web import machine as machine_page

HOSTILE = """"><img src=x onerror=alert(1)>/?#%2f'"""


def hello(machine_id: str) -> Machine:
    found, _ = arrive(Arrival(machine_id, "0.1.0", "Debian 12", "6.1", "x86_64", 0, 5))
    return found


def test_the_overview_has_a_row_with_numbers_for_each_machine(
    client: Client, fleet: list[Machine]
) -> None:
    html = client.get("/").content.decode()

    for machine in fleet:
        assert f'data-id="{machine.machine_id}"' in html
        assert reverse("web:machine", args=[machine.machine_id]) in html
    assert "3 machines" in html
    assert html.count('data-state="online"') + html.count('data-state="warning"') == 3


def test_the_overview_is_sorted_and_filtered_by_its_address(
    client: Client, fleet: list[Machine]
) -> None:
    html = client.get("/?sort=-name&q=a").content.decode()

    ids = re.findall(r'<tr data-id="([^"]+)" data-state="\w+"( hidden)?>', html)
    assert ids == [("router", " hidden"), ("nas", ""), ("atlas", "")]
    assert 'aria-sort="descending"><a href="?sort=name&amp;q=a"' in html
    assert 'value="a"' in html
    assert "2 shown" in html


def test_the_overview_of_a_tag_is_about_its_machines(
    client: Client, fleet: list[Machine]
) -> None:
    assert 'aria-label="Tags"' not in client.get("/").content.decode()
    home, away = (Tag.objects.create(name=name) for name in ("home", "away"))
    fleet[0].tags.set([home, away])
    fleet[1].tags.set([home])

    html = client.get("/?sort=cpu&q=a&tag=home").content.decode()

    ids = re.findall(r'<tr data-id="([^"]+)" data-state="\w+"( hidden)?>', html)
    assert dict(ids) == {"router": " hidden", "nas": "", "atlas": ""}
    assert "2 machines" in html
    assert '<small class="of-tags">away home</small>' in html
    # Everything else in the address stays.
    assert 'href="?q=a&amp;sort=cpu" data-tag=""' in html
    assert 'href="?q=a&amp;tag=away&amp;sort=cpu" data-tag="away"' in html
    assert 'data-tag="home" aria-current="true"' in html
    assert 'href="?sort=memory&amp;q=a&amp;tag=home"' in html
    assert 'type="hidden" name="tag" value="home"' in html


@pytest.mark.parametrize(
    "query",
    ["?sort=;drop", "?q=%00%ff", "?sort=&q=" + "x" * 999, "?tag=%00%22%3E<b>"],
)
def test_nonsense_in_the_address_does_no_harm(
    query: str, client: Client, fleet: list[Machine]
) -> None:
    assert client.get(f"/{query}").status_code == 200


def test_without_machines_the_overview_leads_to_adding_one(
    client: Client, user: User
) -> None:
    html = client.get("/").content.decode()
    assert "No machines yet" in html
    assert "Ask an administrator" in html

    user.is_superuser = True
    user.save()
    assert reverse("web:add_machine") in client.get("/").content.decode()


def test_the_number_of_queries_does_not_grow_with_the_machines(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    pks = fill(12, minutes=1)
    get_hot().put(list(latest(Machine.objects.filter(pk__in=pks)).values()))
    client.get("/")

    with django_assert_max_num_queries(7):
        client.get("/")


def test_a_page_asks_only_for_the_rows_it_lacks(
    client: Client, fleet: list[Machine]
) -> None:
    html = client.get("/rows?id=nas&id=unknown").content.decode()

    assert re.findall(r'data-id="([^"]+)"', html) == ["nas"]
    assert html.count("<tr") == 1


def test_a_sparkline_is_minutes_and_ratios(
    client: Client, fleet: list[Machine]
) -> None:
    told = client.get("/sparklines.json?id=atlas").json()

    assert told["step"] == 60
    assert set(told["lines"]) == {"atlas"}
    minutes = [minute for minute, _ in told["lines"]["atlas"]]
    assert len(minutes) >= 9
    assert minutes == sorted(minutes)
    assert all(0 <= ratio <= 1 for _, ratio in told["lines"]["atlas"])


@pytest.mark.parametrize("part", ["machine", "processes", "agent"])
def test_each_part_of_a_machines_pages_says_how_it_is(
    part: str, client: Client, operator: User, fleet: list[Machine]
) -> None:
    fleet[0].tags.set([Tag.objects.create(name="home")])

    html = client.get(reverse(f"web:{part}", args=["atlas"])).content.decode()

    assert 'id="machine" data-state="online"' in html
    assert 'id="state">Online</span>' in html
    assert "<dt>Cores</dt><dd>16</dd>" in html
    assert '<a class="tag" href="/?tag=home">home</a>' in html


def test_a_machine_page_shows_every_reading_with_its_place(
    client: Client, fleet: list[Machine]
) -> None:
    html = client.get("/machines/atlas/").content.decode()

    places = [int(place) for place in re.findall(r'data-place="(\d+)"', html)]
    sample = latest([fleet[0]])[fleet[0].pk]
    assert sorted(places) == list(range(len(sample.values) // 4))
    assert "Ubuntu 24.04.3 LTS" in html
    assert "6.8.0-87-generic" in html


def test_the_readings_alone_are_the_same_table(
    client: Client, fleet: list[Machine]
) -> None:
    alone = client.get("/readings/atlas").content.decode()

    assert alone.strip() in client.get("/machines/atlas/").content.decode()


def test_a_machine_without_a_sample_says_so(client: Client) -> None:
    hello("new-1")

    html = client.get("/machines/new-1/").content.decode()

    assert "No sample yet" in html
    assert "Waiting" in html
    assert 'id="charts"' not in html


def test_an_unknown_machine_is_not_here(client: Client) -> None:
    for path in ("/machines/nope/", "/charts/nope", "/readings/nope"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "Not here" in answer.content.decode()


@pytest.mark.parametrize(
    "span", ["15m", "1h", "6h", "24h", "7d", "30d", "90d", "nonsense"]
)
def test_charts_come_for_every_range(
    span: str, client: Client, fleet: list[Machine]
) -> None:
    answer = client.get(f"/charts/atlas?range={span}")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/octet-stream"
    assert b'"id":"cpu"' in answer.content[:20_000]
    folded = b'"folded":true' in answer.content[:20_000]
    assert folded == (span in ("6h", "24h", "7d", "30d", "90d"))


@pytest.mark.parametrize(
    ("span", "step_s"), [("24h", 120), ("7d", 3600), ("30d", 3600)]
)
def test_a_week_is_drawn_by_the_hour(
    span: str, step_s: int, client: Client, fleet: list[Machine]
) -> None:
    answer = client.get(f"/charts/atlas?range={span}")

    assert f'"step":{step_s},'.encode() in answer.content[:500]


def test_charts_ask_the_database_few_times(
    client: Client,
    fleet: list[Machine],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client.get("/charts/atlas")

    with django_assert_max_num_queries(12):
        client.get("/charts/atlas")


@pytest.mark.parametrize(
    "path", ["/", "/machines/{}/", "/readings/{}", "/rows?id={}"], ids=str
)
def test_a_hostile_name_is_only_text(path: str, client: Client) -> None:
    machine = hello(HOSTILE)
    address = reverse("web:machine", args=[machine.machine_id])
    quoted = address.removeprefix("/machines/").removesuffix("/")

    answer = client.get(path.format(quoted))

    assert answer.status_code == 200
    assert b"<img" not in answer.content
    assert client.get(address).status_code == 200


def test_a_chosen_name_is_shown_instead_of_the_id(client: Client) -> None:
    Machine.objects.filter(pk=hello("i-0123").pk).update(name="The <b>mail</b>")

    html = client.get("/").content.decode()
    page = client.get("/machines/i-0123/").content.decode()

    assert "The &lt;b&gt;mail&lt;/b&gt;" in html
    assert "The &lt;b&gt;mail&lt;/b&gt;" in page
    assert "<dd>i-0123</dd>" in page


@pytest.mark.parametrize(
    "path", ["/", "/machines/atlas/", "/charts/atlas", "/rows", "/sparklines.json"]
)
def test_nothing_is_shown_to_strangers(path: str, fleet: list[Machine]) -> None:
    answer = Client().get(path)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/?next=")


@pytest.mark.parametrize("path", ["/", "/sign-in/", "/nowhere"])
def test_every_page_forbids_what_it_does_not_need(path: str, user: User) -> None:
    answer = Client().get(path, follow=True)

    policy = answer["Content-Security-Policy"]
    assert re.search(r"script-src 'self'( 'nonce-[^']+')?(;|$)", policy)
    assert "unsafe" not in policy
    assert "object-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_pages_with_numbers_are_never_cached(
    client: Client, fleet: list[Machine]
) -> None:
    for path in ("/", "/machines/atlas/", "/charts/atlas", "/sparklines.json"):
        assert "no-store" in client.get(path)["Cache-Control"]


def test_staff_find_the_administration(client: Client, user: User) -> None:
    assert "/admin/" not in client.get("/").content.decode()

    user.is_staff = True
    user.save()

    assert '<a href="/admin/">' in client.get("/").content.decode()


def test_the_administration_bears_our_name(client: Client, user: User) -> None:
    user.is_staff = user.is_superuser = True
    user.save()

    html = client.get("/admin/").content.decode()

    assert "<span>sysmonstm</span></a></div>" in html
    assert f'<a href="{reverse("web:alerts")}">Alerts</a>' in html


def test_ranges_are_what_the_page_offers(client: Client, fleet: list[Machine]) -> None:
    html = client.get("/machines/atlas/?range=6h").content.decode()

    assert set(re.findall(r'data-range="(\w+)"', html)) == set(machine_page.RANGES)
    assert 'data-range="6h" aria-current="true"' in html


def test_the_page_of_a_new_machine_begins_with_what_there_is(
    client: Client, fleet: list[Machine]
) -> None:
    new, old, _ = fleet
    old.first_seen = new.first_seen - timedelta(minutes=10)
    old.save()
    begins = {
        f"/machines/{new}/": "15m",
        f"/machines/{old}/": "1h",
        f"/machines/{new}/?range=1h": "1h",
    }

    for address, chosen in begins.items():
        html = client.get(address).content.decode()
        assert f'data-range="{chosen}" aria-current="true"' in html


def head(client: Client, asked: str) -> dict[str, Any]:
    body = client.get(f"/charts/atlas?{asked}").content
    length = int.from_bytes(body[:4], "little")
    found: dict[str, Any] = json.loads(body[4 : 4 + length])
    return found


def test_charts_of_a_time_in_the_past_are_as_fine_as_what_is_kept(
    client: Client, fleet: list[Machine]
) -> None:
    now_ms = time.time_ns() // 1_000_000
    start, end = now_ms - 420_000, now_ms - 120_000

    found = head(client, f"range=90d&from={start}&to={end}")

    assert abs(found["from"] - start) <= 5000
    assert abs(found["to"] - end) <= 5000
    assert found["step"] == 5
    assert 50 <= found["points"] <= 62


@pytest.mark.parametrize(
    "asked", ["from=1&to=x", "from=9&to=" + "9" * 400, "from=1", "from=-1e9&to=5"]
)
def test_nonsense_about_a_time_is_the_range(
    asked: str, client: Client, fleet: list[Machine]
) -> None:
    found = head(client, f"range=15m&{asked}")

    assert found["to"] - found["from"] == pytest.approx(900_000, abs=5000)


def test_a_time_that_is_none_or_too_long_is_cut(
    client: Client, fleet: list[Machine]
) -> None:
    far = time.time_ns() // 1_000_000 + 10**9
    assert head(client, f"from={far}&to=0")["points"] == 0
    whole = head(client, f"from=0&to={far}")
    assert whole["to"] - whole["from"] == pytest.approx(90 * 86_400_000, rel=0.01)


def test_the_error_page_needs_nothing_that_may_be_broken(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("as if the database were away")

    monkeypatch.setattr("hub.web.overview.read", broken)
    client.raise_request_exception = False

    answer = client.get("/")

    assert answer.status_code == 500
    assert "Something broke" in answer.content.decode()
