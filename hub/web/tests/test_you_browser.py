"""One's own account in a real browser: nothing is complained about on the way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from allauth.mfa.totp.internal import auth
from playwright.sync_api import Browser, expect

from hub.testing import hubs
from hub.testing.processes import running
from hub.web.tests.test_browser import PHONE, START_S, accessibility, listen

pytestmark = [pytest.mark.process, pytest.mark.browser]

PASSWORD = "a longer and better one"


def code(secret: str, later: int) -> str:
    counter = list(auth.yield_hotp_counters_from_time())[1] + later
    return str(auth.format_hotp_value(auth.hotp_value(secret, counter)))


def test_an_owner_protects_the_account_and_comes_in_again(
    browser: Browser, tmp_path: Path
) -> None:
    env = hubs.environment(DATA_DIR=str(tmp_path), LOG_LEVEL="WARNING")
    argv = [sys.executable, "-m", "bench.demo", "--port", "0", "--machines", "1"]
    with running(*argv, log=tmp_path / "log", env=env, cwd=hubs.ROOT) as process:
        [link] = process.wait_for_line(r"^Sign in: (\S+)$", within_s=START_S).groups()
        web = link.partition("/sign-in")[0]
        page = browser.new_page(viewport=PHONE)
        complaints = listen(page)
        page.goto(link)
        page.goto(f"{web}/you/")
        assert accessibility(page) == []

        page.fill("#new", PASSWORD)
        page.click("text=Set password")
        expect(page.get_by_text("The password is changed")).to_be_visible()
        page.click("text=Set it up")
        secret = page.inner_text(".key-text")
        drawn = "document.querySelector('.scan').naturalWidth"
        assert page.evaluate(drawn) > 0
        assert accessibility(page) == []
        page.fill("#code", code(secret, 0))
        page.click("text=Turn it on")
        expect(page.locator(".codes li")).to_have_count(10)
        assert accessibility(page) == []
        page.click("text=I have kept them")
        page.click(".menu summary")
        page.click("text=Sign out")

        page.fill("#id_username", "owner")
        page.fill("#id_password", PASSWORD)
        page.click("button.primary")
        expect(page.locator("#code")).to_be_visible()
        assert accessibility(page) == []
        page.fill("#code", code(secret, 1))
        page.click("text=Go on")
        expect(page.locator("#headline")).to_be_visible()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"]
        assert complaints == []
        page.close()
