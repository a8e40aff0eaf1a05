from __future__ import annotations

import re
from importlib import import_module

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from hub.alerts import validation
from hub.alerts.defaults import DEFAULTS
from hub.alerts.models import Alert, Rule
from hub.alerts.tests.test_forms import SAID
from hub.alerts.tests.world import World
from hub.events.bus import get_bus, set_bus
from hub.events.event import RULES_CHANGED
from hub.events.memory import MemoryBus
from hub.people.owner import owner

pytestmark = pytest.mark.django_db

ADD = "admin:alerts_rule_add"
CHANGE = "admin:alerts_rule_change"
LIST = "admin:alerts_rule_changelist"
TRY = "admin:alerts_back_test"


@pytest.fixture
def browser() -> Client:
    browser = Client()
    browser.force_login(owner())
    return browser


def test_a_rule_is_made_in_the_admin(browser: Client, world: World) -> None:
    response = browser.post(reverse(ADD), SAID)

    assert response.status_code == 302, response.context["errors"]
    assert Rule.objects.get().warning == 0.9


def test_every_change_is_in_the_history(browser: Client, world: World) -> None:
    browser.post(reverse(ADD), SAID)
    rule = Rule.objects.get()

    browser.post(reverse(CHANGE, args=[rule.pk]), SAID | {"critical": "97 %"})
    browser.post(reverse(LIST), {"action": "disable", "_selected_action": [rule.pk]})

    said = [str(entry) for entry in LogEntry.objects.order_by("pk")]
    assert [
        str(entry.get_change_message()) for entry in LogEntry.objects.order_by("pk")
    ] == [
        "Added.",
        "Changed critical (95 % → 97 %).",
        "Switched off.",
    ], said
    rule.refresh_from_db()
    assert rule.enabled is False


@pytest.fixture
def _first_start() -> None:
    Rule.objects.all().delete()
    import_module("hub.alerts.migrations.0002_default_rules").add(apps, None)


@pytest.mark.usefixtures("_first_start")
def test_the_default_set_is_there_and_goes_on_with_one_click(browser: Client) -> None:
    assert Rule.objects.count() == len(DEFAULTS)
    assert not Rule.objects.filter(enabled=True).exists()
    assert "Switch the default rules on" in browser.get(reverse(LIST)).content.decode()

    browser.post(reverse("admin:alerts_defaults"))

    assert not Rule.objects.filter(enabled=False).exists()
    assert LogEntry.objects.count() == len(DEFAULTS)
    assert "Switch the default" not in browser.get(reverse(LIST)).content.decode()


@pytest.mark.usefixtures("_first_start")
def test_every_default_rule_is_valid() -> None:
    for rule in Rule.objects.all():
        assert list(validation.faults(rule.spec)) == []
        assert list(validation.note_faults(rule.note, rule.runbook_url)) == []


@pytest.mark.django_db(transaction=True)
async def test_evaluating_processes_are_told_at_once(world: World) -> None:
    set_bus(MemoryBus())
    try:
        async with get_bus().subscribe(RULES_CHANGED) as events:
            browser = Client()
            await sync_to_async(browser.force_login)(await sync_to_async(owner)())
            await sync_to_async(browser.post)(reverse(ADD), SAID)
            assert (await anext(events)).topic == RULES_CHANGED
    finally:
        set_bus(None)


def test_the_form_is_tried_before_it_is_saved(browser: Client, world: World) -> None:
    world.tick(world.machine("web-1"))

    shown = browser.post(reverse(TRY), SAID | {"name": "", "matchers": ""})

    page = shown.content.decode()
    assert shown.status_code == 200
    assert "No machine has reported a series like this" in page
    assert "0 of 2 series on 1 machine beyond a threshold" in page
    assert not Rule.objects.exists()


def test_what_cannot_be_tried_says_why(browser: Client, world: World) -> None:
    page = browser.post(reverse(TRY), SAID | {"warning": "ninety"}).content.decode()

    assert "“ninety” is not a number. Write it like 90 %." in page


def test_a_trial_needs_the_right_to_see_rules(world: World) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("ada", is_staff=True))

    assert browser.post(reverse(TRY), SAID).status_code == 403
    assert browser.post(reverse("admin:alerts_defaults")).status_code == 403


def test_pages_keep_to_the_content_security_policy(
    browser: Client, world: World
) -> None:
    rule = world.rule(name="<script>alert(1)</script>")

    page = browser.get(reverse(CHANGE, args=[rule.pk])).content.decode()

    assert "<script>alert(1)" not in page
    assert re.findall(r"\sstyle=", page) == []
    assert (
        re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", page) == []
    )


def test_alerts_are_seen_and_not_changed(browser: Client, world: World) -> None:
    machine = world.machine()
    world.rule()
    world.play(machine, [0.9])
    alert = Alert.objects.get()

    shown = browser.get(reverse("admin:alerts_alert_changelist"))
    posted = browser.post(
        reverse("admin:alerts_alert_change", args=[alert.pk]), {"state": "resolved"}
    )

    assert "web-1" in shown.content.decode()
    assert posted.status_code == 403
