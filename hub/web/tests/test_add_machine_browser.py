"""The command of the page, pasted for real: fetched, checked, installed, let in."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from hub.testing import hubs
from hub.testing.island import allowed, island
from hub.testing.services import curl_folder
from hub.web.tests.test_browser import PHONE, accessibility, listen

pytestmark = [pytest.mark.process, pytest.mark.browser, pytest.mark.lasts]

# A busy test machine makes a virtual environment and starts an agent.
INSTALL_S = 300
COMES_MS = 60_000
# Five seconds are promised; a busy machine gets more.
CUT_S = 60
# Where this user may make no networks, the same in the machine's own.
NETWORK = "a network of its own" if allowed() else "this machine's network"
ARRIVAL = '.arrival[data-machine="pasted"]'
NAPS_S = "86399.25"

# How often any number on the page changes in five seconds.
MOVES = """() => new Promise((done) => {
    const said = () => [...document.querySelectorAll("td.current")]
        .map((cell) => cell.textContent).join();
    let before = said(), moves = 0;
    const watch = setInterval(() => {
        if (said() !== before) moves += 1;
        before = said();
    }, 250);
    setTimeout(() => { clearInterval(watch); done(moves); }, 5000);
})"""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What stands for another machine: a home folder, and a way to the hub alone."""

    home: Path
    # How a command begins that is to run there.
    enter: tuple[str, ...]

    @property
    def prefix(self) -> Path:
        return self.home / ".local" / "share" / "sysmonstm"

    @property
    def log(self) -> str:
        return (self.home / ".local/state/sysmonstm-agent/agent.log").read_text()

    def paste(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run what somebody would paste, in a shell that knows nothing."""
        return subprocess.run(
            [*self.enter, "sh", "-c", command],
            cwd=self.home,
            env={
                "HOME": str(self.home),
                "PATH": f"{curl_folder()}:{sys.base_prefix}/bin:/usr/bin:/bin",
            },
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )

    def install(self, command: str) -> None:
        done = self.paste(command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "[5/5]" in done.stdout
        assert "Done." in done.stdout

    def pid(self) -> int | None:
        """The process of the agent that was started there, if it lives."""
        file = self.home / ".local/state/sysmonstm-agent/agent.pid"
        if not file.exists() or not file.read_text().strip():
            return None
        pid = int(file.read_text())
        try:
            said = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            return None
        return pid if str(self.prefix).encode() in said else None


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hubs.Embedded]:
    folder = tmp_path_factory.mktemp("var")
    env = hubs.environment(DATA_DIR=str(folder))
    manage = (sys.executable, hubs.ROOT / "manage.py")
    # Nothing is fetched from a package index: the hub has it all.
    subprocess.run(
        [*manage, "agentbundle", "--installed"],
        env=env,
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=INSTALL_S,
    )
    settings = {"GRPC_TLS": "on", "COLLECTOR_MACHINE_ID": "hub-itself"}
    with hubs.embedded(folder, **settings) as running_hub:
        yield running_hub


@pytest.fixture(params=[NETWORK])
def elsewhere(
    hub: hubs.Embedded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Elsewhere]:
    # Short: the path of a socket may have a hundred bytes.
    folder = tmp_path_factory.mktemp("far")
    ports = [int(address.rpartition(":")[2]) for address in (hub.web, hub.grpc)]
    with ExitStack() as stack:
        enter = stack.enter_context(island(folder, *ports)) if allowed() else ()
        made = Elsewhere(folder / "home", enter)
        made.home.mkdir()
        if enter:
            nothing_else_is_reached_from(made)
        yield made
        if (made.prefix / "stop").exists():
            subprocess.run([made.prefix / "stop"], timeout=INSTALL_S, check=True)


def nothing_else_is_reached_from(elsewhere: Elsewhere) -> None:
    """No package index, no other port of this machine: the hub has to have it all."""
    tried = "import socket; socket.create_connection(({0!r}, {1}), 5)"
    with socket.create_server(("127.0.0.1", 0)) as other:
        for address in (other.getsockname(), ("192.0.2.1", 443)):
            failed = elsewhere.paste(f'python3 -c "{tried.format(*address)}"')
            assert re.search("refused|unreachable", failed.stderr), failed


def test_a_pasted_command_brings_a_machine_and_revoking_cuts_it(
    browser: Browser, hub: hubs.Embedded, elsewhere: Elsewhere
) -> None:
    page = browser.new_page()
    complaints = listen(page)
    page.goto(hub.link)

    pasted = make_the_command(page)
    elsewhere.install(pasted)
    open_what_arrived(page)
    watch_it_live(page)
    see_a_process(page, elsewhere)

    # The same command again brings it up to date and makes no second machine.
    first = elsewhere.pid()
    elsewhere.install(pasted)
    assert elsewhere.pid() not in (None, first)

    revoke(page, elsewhere)
    let_in_again(page, elsewhere)
    page.goto(hub.web)
    expect(page.locator("#rows tr")).to_have_count(2)
    take_off(page, elsewhere)

    assert complaints == []
    page.close()


def make_the_command(page: Page) -> str:
    page.get_by_role("link", name="Add machine").click()
    expect(page.locator(".obstacle")).to_contain_text("listens on loopback only")
    assert accessibility(page) == []
    page.get_by_label("Tags").fill("berlin web")
    page.get_by_role("button", name="Make the command").click()
    expect(page.locator("#arrivals")).to_contain_text("Waiting for the machine")

    # Tabs, by mouse and by keyboard.
    page.get_by_role("tab", name="Docker").click()
    expect(page.locator("#way-docker")).to_be_visible()
    expect(page.locator("#way-shell")).to_be_hidden()
    assert accessibility(page) == []
    page.keyboard.press("Home")
    expect(page.locator("#way-shell")).to_be_visible()

    pasted = command(page)
    assert re.search(r"--fingerprint sha256:[0-9a-f]{64}", pasted)
    return pasted


def command(page: Page) -> str:
    """Return the one for a person without root, who must not get a service here."""
    text = page.locator("#way-shell details pre").text_content()
    return f"{text} --home --machine-id pasted"


def open_what_arrived(page: Page) -> None:
    """It appears by itself, with its first values and the way to it."""
    arrival = page.locator(ARRIVAL)
    expect(arrival.locator("dd").first).to_have_text(
        re.compile(r"\d+\s%"), timeout=COMES_MS
    )
    expect(page.locator("#arrivals")).to_contain_text("is in")
    assert accessibility(page) == []
    arrival.get_by_role("link", name="Open pasted").click()


def watch_it_live(page: Page) -> None:
    """It samples every five seconds, and every second while somebody looks."""
    expect(page.locator(".chart canvas").first).to_be_visible(timeout=COMES_MS)
    expect(page.locator("#state")).to_have_text(re.compile("Online|Warning|Critical"))
    expect(page.locator("#live-mark")).to_be_visible(timeout=COMES_MS)
    assert page.evaluate(MOVES) >= 3


def see_a_process(page: Page, elsewhere: Elsewhere) -> None:
    process = subprocess.Popen([*elsewhere.enter, "sleep", NAPS_S])
    try:
        page.get_by_role("link", name="Processes").click()
        page.get_by_placeholder("Name, user, command").fill(NAPS_S)
        row = page.locator("#processes tbody tr", has_text=f"sleep {NAPS_S}")
        expect(row).to_be_visible(timeout=COMES_MS)
        expect(page.locator("#processes tbody tr")).to_have_count(1)
    finally:
        process.kill()
        process.wait()


def revoke(page: Page, elsewhere: Elsewhere) -> None:
    """It is cut, and both sides say so."""
    page.get_by_role("link", name="Agent").click()
    part = page.locator("#credential")
    expect(part).to_contain_text("Speaks with a secret of its own")
    assert accessibility(page) == []
    part.get_by_role("button", name="Revoke…").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    until_s = time.monotonic() + CUT_S
    expect(part).to_contain_text("Revoked", timeout=CUT_S * 1000)
    while "UNAUTHENTICATED" not in elsewhere.log:
        assert time.monotonic() < until_s, elsewhere.log
        time.sleep(0.05)
    expect(part.get_by_role("link", name="Let it in again")).to_be_focused()
    assert accessibility(page) == []


def let_in_again(page: Page, elsewhere: Elsewhere) -> None:
    """By a command of its own, on a phone's screen."""
    page.set_viewport_size(PHONE)
    page.get_by_role("link", name="Let it in again").click()
    page.get_by_role("button", name="Make the command").click()
    elsewhere.install(command(page))
    expect(page.locator(ARRIVAL).locator("dl")).to_be_visible(timeout=COMES_MS)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


def take_off(page: Page, elsewhere: Elsewhere) -> None:
    """Gone by one command; its silence is meant."""
    gone = elsewhere.paste(f"sh {elsewhere.prefix}/uninstall.sh --home")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert elsewhere.pid() is None
    left = [path for path in elsewhere.home.rglob("*") if "sysmonstm" in path.name]
    assert [path.name for path in left] == ["sysmonstm-agent.sh"]
    row = page.locator('tr[data-id="pasted"]')
    expect(row).to_have_attribute("data-state", "stopped", timeout=COMES_MS)
