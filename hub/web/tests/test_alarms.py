"""What alerts change on the other pages: rows, badge, charts, a picture."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from hub.alerts.models import Alert, Rule
from hub.machines.models import Machine
from hub.web import alert_chart
from hub.web.tests.incidents import opened, page, row


def test_rules_take_over_from_the_fixed_levels(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    opened(rule, fleet[0], severity="warning")

    html = page(client, "/")

    assert 'data-state="warning"' in row(html, "atlas")
    assert re.search(r'class="value disk measure"[^>]*data-level="warning"', html)
    assert 'class="alarm" data-level="warning" title="Disk nearly full">1<' in html
    for other in ("nas", "router"):
        assert 'data-state="online"' in row(html, other)

    Rule.objects.update(enabled=False)
    Alert.objects.all().delete()
    assert 'class="alarm" data-level="" title=""><' in page(client, "/")


def test_the_badge_counts_what_nobody_has_answered(
    client: Client, operator: User, rule: Rule, fleet: list[Machine]
) -> None:
    one, two = opened(rule, fleet[0]), opened(rule, fleet[1])
    opened(rule, fleet[2], severity="warning")

    def badge() -> tuple[str, str]:
        html = page(client, "/")
        found = re.search(r'id="badge" data-level="(\w*)".*?<b>(\d+)</b>', html)
        assert found
        return found[1], found[2]

    assert badge() == ("critical", "3")
    client.post(f"/alerts/{one.pk}/acknowledge")
    assert badge() == ("critical", "2")
    client.post(f"/alerts/{two.pk}/silence", {"length": "1h"})
    assert badge() == ("warning", "1")


def test_who_is_looked_after_needs_nobody(
    client: Client, operator: User, rule: Rule, fleet: list[Machine]
) -> None:
    alert = opened(rule, fleet[0])
    assert "1 needs you" in page(client, "/")

    client.post(f"/alerts/{alert.pk}/acknowledge")

    html = page(client, "/")
    assert "needs you" not in html
    assert 'data-state="warning"' in row(html, "atlas")
    # The number itself is as bad as before.
    assert 'data-level="critical"' in row(html, "atlas")


def test_scripts_read_the_same_again(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    opened(rule, fleet[0])

    told = client.get("/alerts/open.json").json()

    assert told == {
        "ruled": True,
        "unanswered": 1,
        "level": "critical",
        "machines": {
            "atlas": {
                "state": "critical",
                "level": "critical",
                "count": 1,
                "names": "Disk nearly full",
                "cells": {"disk": "critical"},
            }
        },
    }


def test_a_machines_page_has_its_open_alerts_first(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    opened(rule, fleet[0])

    html = page(client, "/machines/atlas/")

    assert html.index("Disk nearly full") < html.index('id="charts"')
    assert "show=history&amp;machine=atlas" in html
    assert "Disk nearly full" in page(client, "/open-alerts/atlas")
    assert page(client, "/open-alerts/nas").strip() == ""


def head(client: Client) -> dict[str, Any]:
    body = client.get("/charts/atlas?range=1h").content
    [length] = struct.unpack_from("<I", body)
    found = json.loads(body[4 : 4 + length])
    assert isinstance(found, dict)
    return found


def test_charts_have_the_alerts_and_thresholds_that_belong_to_them(
    client: Client, rule: Rule, fleet: list[Machine]
) -> None:
    Rule.objects.exclude(pk=rule.pk).delete()
    others = Rule.objects.create(
        name="of nas", metric=rule.metric, warning=0.1, scope="machines"
    )
    others.machines.add(fleet[1])
    Rule.objects.create(name="off", metric=rule.metric, warning=0.2, enabled=False)
    Rule.objects.create(
        name="rate", metric=rule.metric, warning=0.3, aggregation="rate"
    )
    Rule.objects.create(name="memory", metric="system.memory.utilization", warning=0.9)
    Rule.objects.create(
        name="busy",
        metric="system.cpu.utilization",
        matchers=[{"name": "", "op": "=", "glob": ""}],
        warning=0.8,
    )
    alert = opened(rule, fleet[0])

    found = head(client)

    assert found["thresholds"] == {
        "filesystems": [
            {"severity": "warning", "value": 0.85, "of": ""},
            {"severity": "critical", "value": 0.95, "of": ""},
        ],
        "memory": [{"severity": "warning", "value": 0.9, "of": "ceiling"}],
        "cpu": [{"severity": "warning", "value": 0.8, "of": ""}],
    }
    [mark] = found["alerts"]["filesystems"]
    assert (mark["id"], mark["severity"], mark["to"]) == (alert.pk, "critical", None)
    assert mark["from"] == int(alert.opened_at.timestamp() * 1000)


# -- the picture


def test_a_picture_breaks_at_a_gap_and_keeps_percent_at_a_hundred(
    rule: Rule, fleet: list[Machine]
) -> None:
    ms = 1_790_000_000_000
    values = [0.5, 0.6, None, 0.7, 0.8]
    alert = opened(
        rule, fleet[0], samples=[[ms + n * 5000, v] for n, v in enumerate(values)]
    )

    found = alert_chart.chart(alert)

    assert found
    assert found.path == "M0.0 80.0L180.0 64.8M540.0 49.6L720.0 34.4"
    assert (found.low, found.high) == ("0\u00a0%", "100\u00a0%")
    assert [level.severity for level in found.levels] == ["warning", "critical"]


@pytest.mark.parametrize("samples", [[], [[1, 0.5]], [[1, None], [2, None]]])
def test_nothing_to_draw_is_no_picture(
    samples: list[Any], rule: Rule, fleet: list[Machine]
) -> None:
    assert alert_chart.chart(opened(rule, fleet[0], samples=samples)) is None
