"""The page of the documents, in a real browser, under the real policy."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from hub.machines.models import Machine
from hub.people.owner import owner
from hub.testing.services import chromium_path

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_person_reads_the_documents_and_tries_one_out(
    live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Playwright's loop runs in this thread; the ORM below does not mind.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    Machine.objects.create(machine_id="web-1")
    signed_in = Client()
    signed_in.force_login(owner())
    session = signed_in.cookies[settings.SESSION_COOKIE_NAME].value

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium_path()) as chromium,
        chromium.new_context(base_url=live_server.url) as context,
    ):
        context.add_cookies(
            [
                {
                    "name": settings.SESSION_COOKIE_NAME,
                    "value": session,
                    "url": live_server.url,
                }
            ]
        )
        page = context.new_page()
        troubles: list[str] = []
        page.on("console", lambda said: troubles.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((live_server.url, "data:"))
                else troubles.append(asked.url)
            ),
        )

        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto("/api/docs")
        expect(page).to_have_title("API reference · sysmonstm")
        expect(page.get_by_role("link", name="Machines", exact=True)).to_be_visible()
        expect(page.locator("html")).to_have_class("dark-mode")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="GET /api/machines", exact=False).first.click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()

        answer = page.locator(".live-responses-table .response")
        expect(answer.locator(".response-col_status")).to_contain_text("200")
        expect(answer).to_contain_text('"id": "web-1"')
        assert troubles == []
