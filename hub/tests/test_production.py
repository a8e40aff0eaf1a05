"""The commands of docker-compose.yml, run here on TimescaleDB, Redis and Celery."""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from hub.testing import hubs
from hub.testing.hubs import Production
from hub.testing.services import chromium_path

pytestmark = [pytest.mark.process, pytest.mark.browser, pytest.mark.lasts]

START_S = 120
LIVE_MS = 60_000
# Beat sends the first canary 30 s after its start.
CANARY_S = 180


def probe(hub: Production, name: str) -> bool:
    """Run a service's own health check."""
    kind, *command = hub.services[name]["healthcheck"]["test"]
    assert kind == "CMD"
    try:
        hub.finish(name, *command)
    except subprocess.CalledProcessError:
        return False
    return True


def told_in_confidence(hub: Production) -> list[str]:
    """Return what the operator put into .env, and no log may hold."""
    given = hub.environment("web")
    urls = [urlsplit(given[name]).password for name in ("REDIS_URL", "TIMESCALE_URL")]
    found = [given["SECRET_KEY"], given["AGENT_TOKEN"], *urls]
    assert all(len(one or "") >= 32 for one in found)
    return [str(one) for one in found]


def test_the_services_of_the_compose_file_carry_a_sample_to_a_browser(
    tmp_path: Path,
) -> None:
    with hubs.production(tmp_path) as hub, ExitStack() as stack:
        hub.finish("migrate")
        assert not probe(hub, "worker")
        started = {
            name: stack.enter_context(hub.run(name))
            for name in ("beat", "worker", "grpcserve", "web")
        }
        started["grpcserve"].wait_for_port(hub.grpc_port, within_s=START_S)
        # As `depends_on` has it: the certificate that it trusts is there by now.
        started["agent"] = stack.enter_context(hub.run("agent"))
        started["web"].wait_for_port(hub.http_port, within_s=START_S)

        said = hub.finish("web", "python", "manage.py", "signinlink")
        path = re.findall(r"/sign-in/link/\S+", said)[0]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path())
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{hub.http_port}{path}")
            cpu = page.locator('tr[data-id="from-compose"] .cpu .n')
            expect(cpu).to_have_text(re.compile(r"\d"), timeout=LIVE_MS)
            # Two more samples: from the agent through Redis to this page.
            for _ in range(2):
                seen = page.locator('tr[data-id="from-compose"] time').first
                before = seen.get_attribute("datetime")
                assert before
                expect(seen).not_to_have_attribute("datetime", before, timeout=LIVE_MS)
            said = page.request.get(f"http://127.0.0.1:{hub.http_port}/ready").text()
            assert "Agents meet the authority sha256:" in said
            browser.close()

        started["worker"].wait_until(
            lambda: probe(hub, "worker"), "run a task of beat", within_s=CANARY_S
        )
        assert probe(hub, "beat")
        assert probe(hub, "grpcserve")
        assert probe(hub, "web")
        assert probe(hub, "agent")

        secrets = told_in_confidence(hub)
        for name in ("agent", "beat", "worker", "grpcserve", "web"):
            line = Path(f"/proc/{started[name].pid}/cmdline").read_text()
            code = started[name].stop(within_s=hub.grace_s(name))
            assert (name, code) == (name, 0)
            assert "Traceback" not in started[name].output()
            assert not [one for one in secrets if one in line + started[name].output()]
        assert not probe(hub, "grpcserve")
        assert not probe(hub, "web")
