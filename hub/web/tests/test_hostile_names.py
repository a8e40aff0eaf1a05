"""Names that are attacks, on every page that shows them, in a real Chromium."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from hub.testing import hubs
from hub.web.tests import hostile
from hub.web.tests.evil import evil_site
from hub.web.tests.hostile import CELL, COMPUTED, LONG, MACHINE, MARKUP, TEMPLATE
from hub.web.tests.test_browser import PHONE, listen

pytestmark = [pytest.mark.process, pytest.mark.browser]

COMES_MS = 60_000
AT = quote(MACHINE, safe="")

# What people may type into a name.
TYPED = f"{MARKUP}{TEMPLATE}"[:100]
NOTE = f"{MARKUP} {TEMPLATE} {CELL}\r\n{LONG} {{machine}}"

WATCH = """
window.said = [];
document.addEventListener("securitypolicyviolation", (event) =>
    window.said.push(`${event.violatedDirective} ${event.blockedURI}`));
window.ran = () => window.said.push("a script ran");
"""

WIDEST = """() => {
    const root = document.documentElement, found = [];
    const without = (one) => {
        const before = one.style.display;
        one.style.display = "none";
        const narrower = root.scrollWidth < root.clientWidth + 1;
        one.style.display = before;
        return narrower;
    };
    let here = document.body;
    while (here) {
        here = [...here.children].find(without);
        if (here) found.push(`${here.tagName}#${here.id}.${here.className}`);
    }
    return found.length ? found : ["several"];
}"""

LOOK = """() => ({
    said: window.said,
    planted: document.querySelectorAll(".planted, img[src='x'], script:not([src]):not(\
[type='application/json']):not([type='importmap']):not([nonce])").length,
    wide: document.documentElement.scrollWidth,
    text: document.body.innerText
        + [...document.querySelectorAll("input, textarea")].map((one) => one.value)
        + [...document.querySelectorAll("[title]")].map((one) => one.title),
})"""

REFUSED = re.compile(r"^Failed to load resource: .* status of (404|422) ")

# What must not reach a page from a machine: it would turn the words around it.
UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]")


@dataclass
class Visitor:
    """Goes to every page, at a phone's width, and notes what is wrong."""

    page: Page
    web: str

    def __post_init__(self) -> None:
        self.page.add_init_script(WATCH)
        self.complaints = listen(self.page)
        self.page.on("dialog", lambda one: self.complaints.append(one.message))

    def see(self, path: str, *names: str, ready: str = "") -> None:
        self.page.goto(f"{self.web}{path}")
        if ready:
            expect(self.page.locator(ready).first).to_be_visible(timeout=COMES_MS)
        self.judge(path, *names)

    def judge(self, where: str, *names: str) -> None:
        # A form leads to a page whose styles may still be on their way.
        self.page.wait_for_load_state()
        found = self.page.evaluate(LOOK)
        assert (where, found["said"], found["planted"]) == (where, [], 0)
        # Where it is wider than the screen, the names of what makes it so help.
        widest = self.page.evaluate(WIDEST) if found["wide"] > PHONE["width"] else []
        assert widest == [], (where, found["wide"])
        text = found["text"]
        assert [name for name in names if name not in text] == [], where
        assert COMPUTED not in text.replace(",", ""), where
        # A page that says 404 or 422 is a page like others.
        complaints = [one for one in self.complaints if not REFUSED.search(one)]
        assert complaints == [], where


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Embedded]:
    folder = tmp_path_factory.mktemp("hostile")
    with hubs.embedded(folder / "hub", COLLECTOR_MACHINE_ID="quiet") as running:
        yield running


@pytest.fixture(scope="module")
def context(browser: Browser, hub: hubs.Embedded) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=PHONE, user_agent=f"{MARKUP}{TEMPLATE}")
    context.new_page().goto(hub.link)
    yield context
    context.close()


@dataclass
class Api:
    web: str
    secret: str

    def __call__(self, path: str, **said: object) -> tuple[int, str, str]:
        """Return the status, the kind of answer and its text."""
        request = urllib.request.Request(
            f"{self.web}{path}",
            data=json.dumps(said).encode() if said else None,
            headers={
                "Authorization": f"Bearer {self.secret}",
                "Content-Type": "application/json",
            },
        )
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_hostile_names_are_text_on_every_page(
    context: BrowserContext, hub: hubs.Embedded
) -> None:
    page = context.new_page()
    visitor = Visitor(page, hub.web)
    api = Api(hub.web, people_name_things(page, visitor))
    status, _, _ = api("/api/rules", **rule())
    assert status == 201
    with hostile.liar(hub.grpc, people_ask_for_a_machine(page, visitor)) as machine:
        machine_arrives(visitor)
        machine_speaks(visitor, machine.refuse_settings)
        alert_opens(visitor)
        people_change_things(visitor)
        admin_shows_it(visitor)
        programs_read_it(api)


def rule() -> dict[str, object]:
    return {
        "name": TYPED,
        "metric": "system.filesystem.utilization",
        "operator": "gt",
        "warning": 0.5,
        "note": NOTE,
    }


def people_name_things(page: Page, visitor: Visitor) -> str:
    """Make a token, a tag and an enrolment token of hostile names."""
    visitor.see("/you/")
    page.get_by_label("What for").fill(TYPED)
    page.get_by_label("It may").select_option("operate")
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator(".new-secret pre").inner_text()
    visitor.judge("/you/tokens", TYPED)

    visitor.see(f"/add-machine/?machine={quote(MARKUP)}")
    visitor.see(f"/machines/{quote(MARKUP, safe='')}/")
    page.goto(f"{visitor.web}/add-machine/?tag={quote(TYPED)}")
    with page.expect_navigation():
        page.get_by_role("button", name="Make the command").click()
    visitor.judge("/add-machine/, refused")
    return secret


def people_ask_for_a_machine(page: Page, visitor: Visitor) -> str:
    """Make the command, stay on its page, and return the token in it."""
    visitor.see("/add-machine/")
    page.get_by_label("Tags").fill("berlin")
    with page.expect_navigation():
        page.get_by_role("button", name="Make the command").click()
    [token] = set(re.findall(r"\bsme_[\w-]{43}", page.content()))
    return str(token)


def machine_arrives(visitor: Visitor) -> None:
    arrival = visitor.page.locator(".arrival")
    expect(arrival.locator("dd").first).to_be_visible(timeout=COMES_MS)
    visitor.judge("an arrival", MACHINE)


def machine_speaks(visitor: Visitor, refuse: Callable[[], None]) -> None:
    row = visitor.page.locator("#rows tr[data-id^='=cmd']")
    visitor.page.goto(visitor.web)
    expect(row).to_be_visible(timeout=COMES_MS)
    # It came by itself, and its numbers by the line.
    expect(row.locator(".cpu .n")).to_have_text(re.compile(r"\d"), timeout=COMES_MS)
    visitor.judge("/", MACHINE)
    visitor.see("/?q=" + quote(MARKUP))
    visitor.see(
        f"/machines/{AT}/", MACHINE, MARKUP, TEMPLATE, CELL, ready=".chart canvas"
    )
    visitor.see(f"/account/{AT}")
    visitor.see(f"/add-machine/?machine={AT}", MACHINE)
    visitor.see(
        f"/processes/{AT}/", MACHINE, MARKUP, TEMPLATE, CELL, ready="#processes tbody"
    )
    visitor.page.get_by_placeholder("Name, user, command").fill(MARKUP)
    expect(visitor.page.locator("#processes tbody tr")).to_have_count(1)
    visitor.judge("processes, filtered", MARKUP)
    refuse()
    visitor.see(f"/agent/{AT}/", MACHINE, MARKUP, ready="#standing")
    for question in visitor.page.locator(".questions button").all():
        visitor.page.locator("#answer").evaluate("one => one.textContent = ''")
        question.click()
        expect(visitor.page.locator("#answer")).not_to_be_empty(timeout=COMES_MS)
        visitor.judge("an answer")


def alert_opens(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{visitor.web}/alerts/")
    alert = page.locator("#list tbody tr")
    expect(alert).to_have_count(5, timeout=COMES_MS)
    visitor.judge("/alerts/", MACHINE, TYPED, MARKUP, TEMPLATE, CELL)
    address = alert.first.locator(".a-what a").get_attribute("href")
    visitor.see(f"{address}", MACHINE, TYPED, CELL)
    page.get_by_label("Note").fill(TYPED)
    page.get_by_role("button", name="Acknowledge with a note").click()
    expect(page.locator("q")).to_have_text(TYPED)
    visitor.judge("an alert's story", TYPED)
    visitor.see("/alerts/?q=" + quote(MARKUP))
    visitor.see(f"/machines/{AT}/", TYPED)
    visitor.see("/hub/")


def people_change_things(visitor: Visitor) -> None:
    stranger = visitor.page.context.browser.new_page()  # type: ignore[union-attr]
    complaints = listen(stranger)
    stranger.goto(f"{visitor.web}/sign-in/?next=" + quote(f"javascript:{MARKUP}"))
    stranger.get_by_label("Name").fill(TYPED)
    stranger.get_by_label("Password").fill("x")
    with stranger.expect_navigation():
        stranger.get_by_role("button", name="Sign in", exact=True).click()
    assert stranger.locator(".planted").count() == 0
    assert complaints == []
    stranger.close()


def admin_shows_it(visitor: Visitor) -> None:
    page, told = visitor.page, visitor.see
    told("/admin/machines/tag/add/")
    page.get_by_label("Name").fill(TYPED)
    with page.expect_navigation():
        page.locator("[name=_save]").click()
    visitor.judge("a tag", "A tag is one word")
    for model in (
        "machines/machine",
        "alerts/rule",
        "alerts/alert",
        "control/standing",
    ):
        told(f"/admin/{model}/")
        with page.expect_navigation():
            page.locator("#result_list tbody a[href*='/change/']").first.click()
        if model == "alerts/rule":
            trial = page.locator("#back-test .sentence")
            expect(trial).to_be_visible(timeout=COMES_MS)
        visitor.judge(model)
    told("/admin/alerts/rule/", TYPED)
    told("/admin/alerts/alert/", MACHINE)
    told("/admin/machines/machine/", MACHINE)
    told("/admin/people/apitoken/", TYPED)
    told("/admin/machines/credential/", MACHINE)
    told("/admin/machines/enrolmenttoken/")
    told("/admin/control/standing/")
    told("/admin/people/auditentry/", TYPED)
    told("/admin/storage/metric/")
    told("/admin/")


def programs_read_it(api: Api) -> None:
    of_one = f"/api/machines/{AT}/"
    for path in (
        *("/api/machines", "/api/alerts", "/api/alerts/1", "/api/rules"),
        *(f"{of_one}metrics", f"{of_one}account"),
    ):
        status, kind, text = api(path)
        assert (status, kind.partition(";")[0]) == (200, "application/json"), path
        assert not UNSEEN.search(text), path
        json.loads(text)
    status, kind, text = api("/metrics/machines")
    assert status == 200
    assert kind.startswith("text/plain")
    line = re.compile(r'#.*|[a-z_:][\w:]*(\{(\w+="(\\.|[^"\\\n])*",?)*\})? \S+( \d+)?')
    assert [one for one in text.splitlines() if not line.fullmatch(one)] == []
    assert not UNSEEN.search(text)
    assert "machine=" in text


# To a browser all ports of one host are one site: there cookies come along.
@pytest.mark.parametrize(
    ("host", "with_cookie"), [("localhost", False), ("127.0.0.1", True)]
)
def test_another_page_reads_nothing_and_does_nothing(
    context: BrowserContext, hub: hubs.Embedded, host: str, *, with_cookie: bool
) -> None:
    asked: list[Request] = []
    page = context.new_page()
    page.on("request", lambda one: asked.append(one))

    with evil_site(hub.web) as port:
        page.goto(f"http://{host}:{port}/")
        had = page.evaluate("window.over")
        frames = {frame.url for frame in page.frames[1:]}
        posted = [one for one in asked if one.method == "POST"]
        cookies = [one.all_headers().get("cookie", "") for one in posted]
        statuses = {found.status for one in posted if (found := one.response())}

    assert had == []
    # Nobody is shown the hub within another page.
    assert frames == {"chrome-error://chromewebdata/"}
    assert len(posted) >= 5
    assert any("sysmonstm_session" in cookie for cookie in cookies) is with_cookie
    assert statuses <= {302, 401, 403}
    still_there_and_unchanged(context.new_page(), hub)


def still_there_and_unchanged(page: Page, hub: hubs.Embedded) -> None:
    page.goto(f"{hub.web}/you/")
    assert page.url == f"{hub.web}/you/"
    assert "stolen" not in page.content()
    # The hub's own page may do all that: what was refused is not merely broken.
    had = page.evaluate(
        """() => new Promise((told) => {
            const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws");
            socket.onmessage = () => { socket.close(); told("samples"); };
            socket.onclose = () => told("nothing");
        })"""
    )
    assert had == "samples"
