"""A rule is switched on, and everything a person sees of its alert follows."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import (
    APIResponse,
    Browser,
    BrowserContext,
    Page,
    Route,
    ViewportSize,
    expect,
)

from hub.alerts.message import Story, compose
from hub.testing import hubs
from hub.testing.hubs import Embedded
from hub.web.tests.test_browser import DESKTOP, PHONE, accessibility, listen

pytestmark = [pytest.mark.process, pytest.mark.browser]

# A sample a second, then the engine, the bus, and the page's own request.
ALERT_MS = 60_000
ENDS_MS = 60_000
NOON = datetime(2026, 9, 30, 12, tzinfo=UTC)
RULE = {
    "name": "Memory is in use",
    "metric": "system.memory.utilization",
    "operator": "gt",
    "warning": 0.0001,
    "note": "As it should be on {machine}.",
}
# Whether what the page asked for by itself has had its effect.
SEES_ANSWER = """() => {
  window.answered = new Promise((done) => {
    document.addEventListener("htmx:afterRequest", ({detail: {requestConfig}}) => {
      const {path, triggeringEvent} = requestConfig;
      if (!triggeringEvent && path.endsWith("q=Far+away")) done();
    });
  });
}"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("alerts")
    with hubs.embedded(folder / "hub", COLLECTOR_COLLECTION_INTERVAL="1") as running:
        yield running


@pytest.fixture(scope="module")
def context(browser: Browser, hub: Embedded) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP)
    context.new_page().goto(hub.link)
    yield context
    context.close()


def ask(
    context: BrowserContext, hub: Embedded, method: str, path: str, **said: Any
) -> Any:
    """Use the API as a script in the person's browser would."""
    cookies = {one["name"]: one["value"] for one in context.cookies()}
    request = urllib.request.Request(
        f"{hub.web}{path}",
        method=method,
        data=json.dumps(said).encode() if said else None,
        headers={
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "X-CSRFToken": cookies.get("sysmonstm_csrf", ""),
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def test_an_alert_from_its_opening_to_its_end(
    context: BrowserContext, hub: Embedded
) -> None:
    overview, alerts = context.new_page(), context.new_page()
    complaints = [listen(page) for page in (overview, alerts)]
    overview.goto(hub.web)
    expect(overview.locator("#rows .seen")).to_have_text("just now", timeout=ALERT_MS)
    alerts.goto(f"{hub.web}/alerts/")
    expect(alerts.locator("main h2")).to_have_text("No rule is switched on")
    for page in (overview, alerts):
        page.evaluate("window.neverReloaded = true")

    rule = ask(context, hub, "POST", "/api/rules", **RULE)

    # It appears everywhere by itself.
    expect(alerts.locator("#list tbody tr")).to_contain_text(
        "Memory is in use", timeout=ALERT_MS
    )
    row = overview.locator("#rows tr").first
    expect(row).to_have_attribute("data-state", "warning", timeout=ALERT_MS)
    expect(row.locator(".alarm")).to_have_text("1")
    expect(row.locator(".memory")).to_have_attribute("data-level", "warning")
    expect(overview.locator("#badge b")).to_have_text("1")
    for page in (overview, alerts):
        expect(page).to_have_title(re.compile(r"^\(1\) "))

    # One click, and one to take it back; the focus stays where it was.
    alerts.get_by_role("button", name="Acknowledge").click()
    undo = alerts.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    expect(overview.locator("#badge")).to_be_hidden(timeout=ALERT_MS)
    expect(alerts).to_have_title("Alerts · sysmonstm")
    undo.click()
    expect(overview.locator("#badge")).to_be_visible(timeout=ALERT_MS)
    alerts.locator(".silence summary").click()
    alerts.get_by_role("button", name="For 8 hours").click()
    expect(alerts.locator(".answer")).to_have_text(
        re.compile(r"Silenced until \d+:\d\d")
    )

    _look_at_it(overview)

    ask(context, hub, "DELETE", f"/api/rules/{rule['id']}")
    _find_it_again(alerts)
    assert complaints == [[], []]


def _look_at_it(overview: Page) -> None:
    """Go from the machine's page, which has it first, to its own."""
    overview.locator("#rows td a").first.click()
    expect(overview.locator("#alerts")).to_contain_text("Memory is in use")
    expect(overview.locator(".chart").first).to_be_visible(timeout=ALERT_MS)
    overview.locator("#alerts .a-what a").click()
    expect(overview.locator("h1")).to_contain_text("Memory is in use")
    expect(overview.locator(".around path")).to_have_count(1)
    expect(overview.locator(".pre")).to_contain_text("As it should be on ")
    overview.get_by_label("Note").fill("I know <b>this</b> machine")
    overview.get_by_role("button", name="Acknowledge with a note").click()
    expect(overview.locator("q")).to_have_text("I know <b>this</b> machine")


def _find_it_again(alerts: Page) -> None:
    """Without its rule it is over, and stays in the history."""
    expect(alerts.locator("main h2")).to_have_text(
        "No rule is switched on", timeout=ENDS_MS
    )
    assert alerts.evaluate("window.neverReloaded")
    alerts.locator(".ranges a", has_text="History").click()
    expect(alerts.locator("#list tbody tr")).to_contain_text("Resolved")
    alerts.wait_for_load_state()
    alerts.locator("#search").fill("nothing like it")
    expect(alerts.locator("main h2")).to_have_text("Nothing fits")
    assert "q=nothing" in alerts.evaluate("location.search")
    still_open = alerts.get_by_role("link", name="Open", exact=True)
    expect(still_open).to_have_attribute("href", re.compile("q=nothing"))
    alerts.locator("#search").fill("i know")
    expect(alerts.locator("#list tbody tr")).to_have_count(1)
    expect(alerts.locator("#search")).to_be_focused()


def test_a_click_counts_over_a_slow_line(
    context: BrowserContext, hub: Embedded
) -> None:
    """Before the scripts are there, and though older answers come after it."""
    ask(context, hub, "POST", "/api/rules", **RULE | {"name": "Far away"})
    page = context.new_page()
    page.goto(f"{hub.web}/alerts/?q=Far+away")
    expect(page.locator(".a-what a")).to_be_visible(timeout=ALERT_MS)

    with _scripts_late(page):
        page.get_by_role("button", name="Acknowledge").click()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()

    with _asked_by_itself(page):
        undo.click()
        acknowledge = page.get_by_role("button", name="Acknowledge")
        expect(acknowledge).to_be_focused()
    expect(acknowledge).to_be_focused()

    search = page.locator("#search")
    with (
        _answered_later(page, "nothing", lambda: search.fill("nothing")),
        _asked_by_itself(page),
    ):
        pass
    expect(page.locator("main h2")).to_have_text("Nothing fits")

    with _scripts_late(page):
        page.locator("#search").fill("nothing like it")
    expect(page.locator("main h2")).to_have_text("Nothing fits")
    page.close()


@contextmanager
def _asked_by_itself(page: Page) -> Iterator[None]:
    """Let the page ask for its list; when this is left the answer has come."""
    page.evaluate(SEES_ANSWER)
    turn = "document.dispatchEvent(new Event('turn'))"
    with _answered_later(page, "Far+away", lambda: page.evaluate(turn)):
        yield
    page.evaluate("window.answered")


@contextmanager
def _answered_later(
    page: Page, words: str, ask: Callable[[], object]
) -> Iterator[None]:
    """Ask for the alerts with these words; the answer is of now, and comes later."""
    address = f"**/alerts/?*q={words}"
    first: list[Route] = []
    answers: list[APIResponse] = []

    def keep(route: Route) -> None:
        if first:
            route.continue_()
        else:
            first.append(route)
            answers.append(route.fetch())

    page.route(address, keep)
    with page.expect_request(address):
        ask()
    while not answers:
        page.wait_for_timeout(10)
    yield
    first[0].fulfill(response=answers[0])
    page.unroute(address)


@contextmanager
def _scripts_late(page: Page) -> Iterator[None]:
    """Load the page again, and its scripts only when this is left."""
    scripts: list[Route] = []
    page.route("**/htmx.min*.js", lambda route: scripts.append(route), times=1)
    page.reload(wait_until="commit")
    yield
    page.wait_for_function("document.readyState === 'interactive'")
    scripts[0].continue_()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=("desktop", "phone"))
def test_everybody_can_use_the_pages_of_alerts(
    size: ViewportSize, scheme: str, context: BrowserContext, hub: Embedded
) -> None:
    name = f"For {scheme} {size['width']}"
    rule = ask(context, hub, "POST", "/api/rules", **RULE | {"name": name})
    page = context.new_page()
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{hub.web}/alerts/?q={name.replace(' ', '+')}")
    link = page.locator(".a-what a")
    expect(link).to_be_visible(timeout=ALERT_MS)
    check(page, size)
    page.locator(".silence summary").click()
    check(page, size)
    link.click()
    expect(page.locator("h1")).to_contain_text(name)
    page.route("**/acknowledge", lambda route: route.abort("internetdisconnected"))
    page.get_by_role("button", name=f"Acknowledge {name}").click()
    expect(page.get_by_role("alert")).to_contain_text("The hub did not answer")
    check(page, size)
    page.goto(f"{hub.web}/alerts/?q=nothing")
    check(page, size)
    page.goto(f"{hub.web}/admin/alerts/rule/{rule['id']}/change/")
    # What the past says stays in sight, with numbers at both of its axes.
    expect(page.locator("#back-test .sentence")).to_be_visible(timeout=ALERT_MS)
    expect(page.locator("#back-test .scale").first).to_contain_text("%")
    expect(page.locator("#back-test .times text").first).to_be_attached()
    check(page, size)
    page.locator("#id_warning").press_sequentially(" many")
    expect(page.locator("#back-test .faults")).to_contain_text("many", timeout=ALERT_MS)
    check(page, size)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_mail(scheme: str, browser: Browser) -> None:
    """As programs show it that leave its styles in, on a phone."""
    open_one, over = story(7), replace(story(8, severity="warning"), over=True)
    mail = compose([open_one, over, story(9, severity="warning")], hub="https://hub/")
    page = browser.new_page(
        viewport=PHONE, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.set_content(mail.html)

    check(page, PHONE)
    card = page.locator(".card").first
    white = card.evaluate("card => getComputedStyle(card).backgroundColor")
    assert (white == "rgb(255, 255, 255)") == (scheme == "light")
    page.close()


def story(number: int, *, severity: str = "critical") -> Story:
    return Story(
        alert=number,
        what="opened",
        over=False,
        severity=severity,
        machine="a-name-as-long-as-they-are-in-a-cloud.datacentre-7.example.org",
        rule="File system is nearly full",
        kind="threshold",
        unit="1",
        attributes=(("system.filesystem.mountpoint", "/srv/" + "deep/" * 20),),
        value=0.97,
        peak=0.99,
        opened_at=NOON,
        resolved_at=None,
        link="https://hub.example/alerts/7/",
        note="Look for what fills it.",
        runbook="https://wiki.example/disk",
        culprits=("stress-ng (pid 4711, user root) used 3.9 cores",),
        limit=0.9,
    )


def check(page: Page, size: ViewportSize) -> None:
    assert accessibility(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
