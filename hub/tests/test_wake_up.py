"""The story of the one who is woken up, in a real browser, with real programs.

Someone sets "CPU above 80 %" in the administration; the processor is loaded; the
dashboard says so by itself and names the program; a letter and a call arrive; then
it ends, and that is told too.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from hub.alerts.tests.receivers import (
    Mailbox,
    Receiver,
    http_receiver,
    smtp_receiver,
)
from hub.testing import hubs, services
from hub.testing.hubs import Embedded

pytestmark = [pytest.mark.process, pytest.mark.browser, pytest.mark.lasts]

SECRET = "only-for-this-test-0123456789"
SETTINGS = {
    "MAIL_FROM": "hub@example.org",
    "COLLECTOR_MACHINE_ID": "mine",
    "COLLECTOR_COLLECTION_INTERVAL": "1",
}
RULE = "CPU above 80 %"
# What the program calls the processes that compute.
CULPRIT = "stress-ng-cpu"
SOON_MS = 60_000
# The agent has looked at the processes twice.
WARM_MS = 5_000
# One second below the limit is enough.
ENDS_MS = 30_000


def test_somebody_is_woken_up_and_told_by_whom(
    tmp_path: Path, browser: Browser
) -> None:
    errors: list[str] = []
    with (
        http_receiver() as phone,
        smtp_receiver() as box,
        hubs.embedded(tmp_path / "var", **SETTINGS, SMTP_URL=box.url) as hub,
    ):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        dashboard = context.new_page()
        dashboard.on("pageerror", lambda error: errors.append(str(error)))
        dashboard.goto(hub.link)
        row = dashboard.locator('tr[data-id="mine"]')
        expect(row.locator(".cpu .n")).to_have_text(re.compile(r"\d"), timeout=SOON_MS)
        dashboard.evaluate("window.neverReloaded = true")
        _say_whom_to_tell(context, hub, phone)

        with services.stress(tmp_path, "--cpu", str(os.cpu_count())):
            # First the load: beside other tests the processor may be busy anyway, and
            # then whoever was before is rightly named.
            dashboard.wait_for_timeout(WARM_MS)
            _set_the_rule(context, hub)

            # The dashboard says so by itself.
            alarm = row.locator(".alarm")
            expect(alarm).to_have_text("1", timeout=SOON_MS)
            expect(alarm).to_have_attribute("title", re.compile(RULE))
            expect(row.locator(".cpu")).to_have_attribute("data-level", "warning")
            expect(dashboard).to_have_title(re.compile(r"^\(1\) "))
            alert = context.new_page()
            _find_the_culprit(alert, hub)
            _wait(alert, lambda: len(phone.heard) >= 1 and len(box.mails) >= 1)
            _was_told(phone, box)
            first = _stored(tmp_path)[0]
            assert first == (RULE, "mine", "firing", "warning", CULPRIT)

        _ends(context, hub, alert)
        expect(alarm).to_be_empty(timeout=SOON_MS)
        expect(dashboard).not_to_have_title(re.compile(r"^\("))
        _wait(alert, lambda: {"opened", "resolved"} <= set(_told(phone)))
        assert dashboard.evaluate("window.neverReloaded")
        context.close()

    assert [_told(phone).count(what) for what in ("opened", "resolved")] == [1, 1]
    subjects = [str(mail["Subject"]) for mail in box.mails]
    assert subjects[0].startswith(f"[warning] {RULE} on mine")
    assert any("resolved" in subject.lower() for subject in subjects)
    assert _stored(tmp_path)[0][2] == "resolved"
    assert errors == []


def _say_whom_to_tell(context: BrowserContext, hub: Embedded, phone: Receiver) -> None:
    page = context.new_page()
    for name, kind, address in (
        ("letters", "email", "ops@example.org"),
        ("calls", "webhook", phone.url),
    ):
        page.goto(f"{hub.web}/admin/alerts/contact/add/")
        page.locator("#id_name").fill(name)
        page.locator("#id_kind").select_option(kind)
        page.locator("#id_address").fill(address)
        page.locator("#id_secret").fill(SECRET)
        page.locator("#id_may_reach_private").check()
        _save(page)
    page.goto(f"{hub.web}/admin/alerts/route/add/")
    page.locator("#id_name").fill("everything")
    page.locator("#id_group_wait_s").fill("4")
    page.locator("#id_contacts_add_all").click()
    _save(page)
    page.close()


def _set_the_rule(context: BrowserContext, hub: Embedded) -> None:
    page = context.new_page()
    page.goto(f"{hub.web}/admin/alerts/rule/add/")
    page.locator("#id_name").fill(RULE)
    page.locator("#id_metric").select_option("system.cpu.utilization")
    page.locator("#id_matchers").fill("{}")
    page.locator("#id_warning").fill("80 %")
    page.locator("#id_for_s").fill("2 s")
    page.locator("#id_clear_for_s").fill("0 s")
    # What it says now of the newest values, before it is saved.
    expect(page.locator("#back-test")).to_contain_text("mine", timeout=SOON_MS)
    _save(page)
    page.close()


def _ends(context: BrowserContext, hub: Embedded, alert: Page) -> None:
    sign = alert.locator(".alert-line .sign")
    with suppress(AssertionError):
        # Unless others keep this machine as busy: then it is rightly open.
        expect(sign).to_have_text("Resolved", timeout=ENDS_MS)
    _raise_the_limit(context, hub)
    expect(sign).to_have_text("Resolved", timeout=SOON_MS)


def _raise_the_limit(context: BrowserContext, hub: Embedded) -> None:
    page = context.new_page()
    page.goto(f"{hub.web}/admin/alerts/rule/?q={quote(RULE)}")
    page.locator("#result_list tbody th a").click()
    page.locator("#id_warning").fill("1000 %")
    _save(page)
    page.close()


def _save(page: Page) -> None:
    page.locator("input[name=_save]").click()
    expect(page.locator(".messagelist .success")).to_be_visible(timeout=SOON_MS)


def _find_the_culprit(page: Page, hub: Embedded) -> None:
    page.goto(f"{hub.web}/alerts/")
    page.locator(".a-what a", has_text=RULE).click()
    expect(page.locator(".processes")).to_contain_text(CULPRIT, timeout=SOON_MS)


def _was_told(phone: Receiver, box: Mailbox) -> None:
    [told, *_] = json.loads(phone.heard[0].body)["alerts"]
    assert told["machine"]["id"] == "mine"
    assert told["rule"]["name"] == RULE
    assert told["value"] > 0.8
    names = [one["name"] for one in told["processes"]["entries"]]
    assert CULPRIT in names
    assert phone.heard[0].headers["X-Sysmonstm-Signature"].startswith("v1=")
    letter = box.mails[0]
    assert box.recipients[0] == "ops@example.org"
    body = letter.get_body(("plain",))
    assert body
    # A letter names the worst, and here others may be busy as well.
    assert all(name in body.get_content() for name in names[:3])


def _told(phone: Receiver) -> list[str]:
    """Return what was said of the first incident; a busy machine may have more."""
    said = [alert for one in phone.heard for alert in json.loads(one.body)["alerts"]]
    first = min(alert["id"] for alert in said)
    return [alert["reason"] for alert in said if alert["id"] == first]


def _stored(folder: Path) -> list[tuple[str, ...]]:
    """Read the database itself, past everything that is under test."""
    query = """
        SELECT r.name, m.machine_id, a.state, a.severity, c.entries
        FROM alerts_alert a
        JOIN alerts_rule r ON r.id = a.rule_id
        JOIN machines_machine m ON m.id = a.machine_id
        LEFT JOIN alerts_culprit c ON c.alert_id = a.id
        ORDER BY a.id
    """
    [file] = (folder / "var").glob("*.sqlite3")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        rows = database.execute(query).fetchall()
    named = re.compile(CULPRIT)
    return [(*row[:4], CULPRIT if named.search(row[4] or "") else "") for row in rows]


def _wait(page: Page, holds: Callable[[], bool], within_ms: int = 120_000) -> None:
    for _ in range(within_ms // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("nobody was told")
