"""The pages of alerts: the list, one of them, and answers to it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from hub.alerts.models import Attempt, Contact, Delivery, Notice, Rule, Silence
from hub.machines.models import Machine
from hub.web.tests.incidents import opened, page

HOSTILE = """"><img src=x onerror=alert(1)>{{ 7|add:7 }}/?#%2f'"""


# -- the list


def test_without_a_rule_the_page_says_what_a_rule_is(
    client: Client, rule: Rule
) -> None:
    Rule.objects.update(enabled=False)

    html = page(client)

    assert "No rule is switched on" in html
    assert "/admin/" not in html


def test_with_rules_and_nothing_open_all_is_well(client: Client, rule: Rule) -> None:
    assert "Nothing is wrong" in page(client)
    assert "No alert yet" in page(client, "/alerts/?show=history")
    assert "Nothing fits" in page(client, "/alerts/?q=disk")


def test_an_open_alert_says_what_where_how_bad_and_since_when(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])

    html = page(client)

    for text in ("Disk nearly full", "/data", "96\u00a0%", "worst 97\u00a0%"):
        assert text in html
    assert "5\u00a0min\u00a0ago" in html
    assert f'href="/alerts/{alert.pk}/"' in html
    assert 'href="/machines/atlas/"' in html
    assert 'data-sign="critical"' in html


def test_what_nobody_has_answered_comes_first_and_of_that_the_worst(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    now = timezone.now()
    answered = opened(rule, fleet[0], acknowledged_at=now, opened_at=now)
    warning = opened(rule, fleet[0], severity="warning", opened_at=now)
    older, newer = (
        opened(rule, fleet[0], opened_at=now - timedelta(minutes=age))
        for age in (30, 20)
    )

    for path in ("/alerts/", "/machines/atlas/"):
        order = re.findall(r'<tr id="alert-(\d+)"', page(client, path))
        wanted = [newer, older, warning, answered]
        assert order == [str(alert.pk) for alert in wanted], path


def test_an_alert_that_is_over_leads_to_the_charts_of_its_time(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    at = timezone.now() - timedelta(hours=3)
    over = opened(rule, fleet[0], opened_at=at, state="resolved", resolved_at=at)

    html = page(client, f"/alerts/{over.pk}/")

    start = int(at.timestamp() * 1000) - 3_600_000
    assert f'href="/machines/atlas/?from={start}&amp;to={start + 7_200_000}"' in html


def test_history_has_what_is_over_and_for_how_long(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    at = timezone.now() - timedelta(hours=3)
    ended = {"state": "resolved", "resolved_at": at + timedelta(minutes=12)}
    opened(rule, fleet[0], opened_at=at, **ended)

    assert "Disk nearly full" not in page(client).partition('id="list"')[2]
    history = page(client, "/alerts/?show=history")
    assert "Resolved" in history
    assert "for 12\u00a0min" in history
    assert "it was critical" in history


def test_the_filter_is_in_the_address(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    opened(rule, fleet[0])
    opened(rule, fleet[1], severity="warning")

    def machines(query: str) -> set[str]:
        shown = page(client, f"/alerts/?{query}").partition('id="list"')[2]
        return set(re.findall(r'href="/machines/(\w+)/"', shown))

    assert machines("") == {"atlas", "nas"}
    assert machines("severity=warning") == {"nas"}
    assert machines("machine=atlas") == {"atlas"}
    assert machines("q=atlas") == {"atlas"}
    assert machines(f"rule={rule.pk + 1}") == set()
    assert machines("rule=nonsense&severity=odd&show=x&after=y") == {"atlas", "nas"}
    assert machines("q=%00&machine=%00") == set() or machines("q=%00") == {
        "atlas",
        "nas",
    }


def test_older_alerts_come_when_they_are_asked_for(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    now = timezone.now()
    for number in range(60):
        at = now - timedelta(minutes=number)
        opened(rule, fleet[0], opened_at=at, state="resolved", resolved_at=at)

    first = page(client, "/alerts/?show=history")
    more = re.search(r'id="more" href="([^"]+)"', first)
    assert more
    address = f"/alerts/{more[1].replace('&amp;', '&')}"
    rest = client.get(address, headers={"HX-Trigger": "more"}).content.decode()

    assert first.count('<tr id="alert-') == 50
    assert rest.count('<tr id="alert-') == 10
    assert "<html" not in rest
    assert 'id="more"' not in rest
    assert not set(re.findall(r"alert-\d+", first)) & set(
        re.findall(r"alert-\d+", rest)
    )


def test_the_number_of_queries_does_not_grow_with_the_alerts(
    client: Client,
    operator: User,
    rule: Rule,
    fleet: list[Machine],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    Silence.objects.create(
        machine="nothing", until=timezone.now() + timedelta(days=1), reason="x"
    )
    for number in range(30):
        opened(rule, fleet[number % 3])
    client.get("/alerts/")

    with django_assert_max_num_queries(17):
        client.get("/alerts/")
    with django_assert_max_num_queries(11):
        client.get("/")


# -- one alert


def test_a_page_tells_all_of_an_alert(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    at = timezone.now() - timedelta(minutes=5)
    ms = int(at.timestamp() * 1000)
    samples = [[ms + n * 5000, 0.9 + n / 1000] for n in range(-20, 20)]
    alert = opened(rule, fleet[0], opened_at=at, samples=samples)

    html = page(client, f"/alerts/{alert.pk}/")

    for text in (
        "Warning at or above 85\u00a0%, critical at or above 95\u00a0%"
        " for at least 5\u00a0min.",
        "Look at atlas: 96 % of /data.",
        'href="https://wiki.example/disk"',
        "system.filesystem.mountpoint",
        "95\u00a0%",
        "97\u00a0%",
        "Nobody has been told",
        '<path d="M',
    ):
        assert text in html


def test_the_ledger_says_who_was_told_and_how_it_went(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])
    contact = Contact.objects.create(name="Night <shift>", kind="email")
    now = timezone.now()
    delivery = Delivery.objects.create(contact=contact, due_at=now)
    Notice.objects.create(
        alert=alert, contact=contact, delivery=delivery, what="opened"
    )
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        result="failed",
        said="550 no <such> box",
        next_try_at=now,
    )

    html = page(client, f"/alerts/{alert.pk}/")

    assert "Night &lt;shift&gt;" in html
    assert "550 no &lt;such&gt; box" in html
    assert "Nobody has been told" not in html


def test_an_alert_of_a_removed_machine_and_rule_is_still_told(
    client: Client, rule: Rule
) -> None:
    alert = opened(rule, None, state="resolved", resolved_at=timezone.now())
    rule.delete()

    html = page(client, f"/alerts/{alert.pk}/")

    assert "removed from the hub" in html
    assert "This rule has been deleted since" in html


def test_what_others_wrote_is_only_text(client: Client, rule: Rule) -> None:
    machine = Machine.objects.create(machine_id=HOSTILE, name=HOSTILE)
    rule.name = rule.note = HOSTILE
    rule.runbook_url = "javascript:alert(1)"
    alert = opened(
        rule,
        machine,
        attributes={HOSTILE: HOSTILE},
        acknowledged_note=HOSTILE,
        acknowledged_at=timezone.now(),
    )

    for path in ("/", "/alerts/", f"/alerts/{alert.pk}/", "/alerts/open.json"):
        html = client.get(path).content.decode()
        if not path.endswith("json"):
            assert "<img" not in html
        assert "javascript:" not in html
        assert "{14" not in html


@pytest.mark.parametrize("path", ["/alerts/99999/", "/alerts/99999999999999999999/"])
def test_an_unknown_alert_is_not_here(path: str, client: Client) -> None:
    assert client.get(path).status_code == 404


def test_strangers_see_no_alert(rule: Rule, fleet: list[Machine]) -> None:
    alert = opened(rule, fleet[0])

    for path in ("/alerts/", f"/alerts/{alert.pk}/", "/alerts/open.json"):
        assert Client().get(path).status_code == 302
    assert Client().post(f"/alerts/{alert.pk}/acknowledge").status_code == 302


# -- answers


def test_one_click_acknowledges_and_one_takes_it_back(
    client: Client, operator: User, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])
    path = f"/alerts/{alert.pk}"

    done = client.post(f"{path}/acknowledge").content.decode()

    assert f'<tr id="alert-{alert.pk}"' in done
    assert "ada is on it" in done
    assert f'id="undo-{alert.pk}" autofocus' in done
    undone = client.post(f"{path}/take-back").content.decode()
    assert "is on it" not in undone
    assert "Acknowledge" in undone


def test_a_note_says_what_is_done_about_it(
    client: Client, operator: User, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])

    html = client.post(
        f"/alerts/{alert.pk}/acknowledge",
        {"note": "  <b>ordered</b> a disk\0 "},
        headers={"HX-Target": "answers"},
    ).content.decode()

    alert.refresh_from_db()
    assert alert.acknowledged_note == "<b>ordered</b> a disk"
    assert "&lt;b&gt;ordered&lt;/b&gt;" in html
    assert html.strip().startswith('<div class="answers" id="answers">')


def test_a_note_that_was_sent_before_the_scripts_were_there_is_kept(
    client: Client, operator: User, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])
    page = client.get(f"/alerts/{alert.pk}/").content.decode()

    answer = client.post(
        f"/alerts/{alert.pk}/acknowledge",
        {"note": "on it"},
        headers={"Sec-Fetch-Mode": "navigate"},
    )

    assert f'method="post" action="/alerts/{alert.pk}/acknowledge"' in page
    assert 'name="csrfmiddlewaretoken"' in page
    assert answer["Location"] == f"/alerts/{alert.pk}/"
    alert.refresh_from_db()
    assert alert.acknowledged_note == "on it"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ("1h", "Silenced until <time"),
        ("8h", "Silenced until <time"),
        ("resolved", "Silenced until it is resolved"),
        ("odd", "Silenced until <time"),
    ],
)
def test_one_click_silences_and_one_ends_it(
    length: str,
    said: str,
    client: Client,
    operator: User,
    rule: Rule,
    fleet: list[Machine],
) -> None:
    alert = opened(rule, fleet[0])

    done = client.post(f"/alerts/{alert.pk}/silence", {"length": length})

    assert said in done.content.decode()
    undone = client.post(f"/alerts/{alert.pk}/lift").content.decode()
    assert "Silenced" not in undone


def test_viewers_may_look_but_not_answer(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])

    assert "hx-post" not in page(client)
    for action in ("acknowledge", "take-back", "silence", "lift"):
        assert client.post(f"/alerts/{alert.pk}/{action}").status_code == 403
        assert client.get(f"/alerts/{alert.pk}/{action}").status_code == 403
    alert.refresh_from_db()
    assert alert.acknowledged_at is None
    assert not Silence.objects.exists()


def test_what_ended_meanwhile_is_shown_as_that(
    client: Client, operator: User, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0], state="resolved", resolved_at=timezone.now())

    html = client.post(f"/alerts/{alert.pk}/acknowledge").content.decode()

    assert "Resolved" in html
    alert.refresh_from_db()
    assert alert.acknowledged_at is None


def test_an_answer_needs_the_pages_own_token(
    operator: User, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator)

    assert strict.post(f"/alerts/{alert.pk}/acknowledge").status_code == 403
