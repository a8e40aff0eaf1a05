"""Two processes that serve agents, one that serves people: whoever asks is answered."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from hub.testing import hubs
from hub.testing.hubs import Production
from hub.testing.processes import Process, free_port
from hub.testing.unruly import unruly_redis

pytestmark = pytest.mark.process

START_S = 120
SOON_S = 60.0


class Browser:
    """A person with a session, as far as these pages need one."""

    def __init__(self, web: str) -> None:
        self._web, self._cookies = web, CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self._cookies))

    def get(self, path: str) -> str:
        with self._opener.open(f"{self._web}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **typed: str) -> str:
        [token] = [one.value for one in self._cookies if one.name.endswith("csrf")]
        request = Request(
            f"{self._web}{path}",
            urlencode(typed).encode(),
            {"X-CSRFToken": token or "", "Referer": self._web},
        )
        with self._opener.open(request, timeout=60) as answer:
            return str(answer.read().decode())

    def until(self, path: str, said: str, *, within_s: float = SOON_S) -> str:
        deadline = time.monotonic() + within_s
        while said not in (body := self.get(path)):
            assert time.monotonic() < deadline, body
            time.sleep(0.2)
        return body


@contextmanager
def grpcserve(hub: Production, port: int, folder: str = "data") -> Iterator[Process]:
    data = f"DATA_DIR={hub.folder / folder}"
    command = ("env", data, "python", "manage.py", "grpcserve", "--port", str(port))
    with hub.run("grpcserve", *command) as process:
        process.wait_for_port(port, within_s=START_S)
        yield process


@contextmanager
def agent(
    hub: Production, machine_id: str, port: int, **more: str
) -> Iterator[Process]:
    settings = {
        **hub.way_in(port),
        "COLLECTOR_SPOOL_DIR": str(hub.folder / f"spool-{machine_id}"),
        "COLLECTOR_STATE_DIR": str(hub.folder / f"state-{machine_id}"),
    }
    log = hub.folder / f"{machine_id}.log"
    # Empty: the hub may settle it.
    settings |= {"COLLECTOR_COLLECTION_INTERVAL": "", **more}
    with hubs.agent(f"127.0.0.1:{port}", machine_id, log, **settings) as process:
        yield process


def test_questions_and_settings_find_their_agent(tmp_path: Path) -> None:
    with hubs.production(tmp_path, is_new=False) as hub, ExitStack() as stack:
        other_port = free_port()
        first = stack.enter_context(grpcserve(hub, hub.grpc_port))
        # Its folder is another one by mistake: so are its certificates.
        stack.enter_context(grpcserve(hub, other_port, "not-shared"))
        web = stack.enter_context(hub.run("web"))
        web.wait_for_port(hub.http_port, within_s=START_S)
        stack.enter_context(agent(hub, "atlas", hub.grpc_port))
        its = {
            "COLLECTOR_COLLECTION_INTERVAL": "1",
            "COLLECTOR_CA_FILE": str(hub.folder / "not-shared/tls/ca.pem"),
        }
        stack.enter_context(agent(hub, "nas", other_port, **its))
        ada = Browser(f"http://127.0.0.1:{hub.http_port}")
        said = hub.finish("web", "python", "manage.py", "signinlink")
        [link] = re.findall(r"/sign-in/link/\S+", said)
        ada.get(link)
        ada.post(link)
        for machine in ("atlas", "nas"):
            ada.until("/", f'data-id="{machine}"')
            ada.until(f"/agent-standing/{machine}", "Applied.")

        ada.until("/ready", "must have the same DATA_DIR")
        assert "must have the same DATA_DIR" in ada.get("/add-machine/")
        each_is_asked_by_its_own_process(ada)
        settings_reach_both(ada)
        a_process_that_dies_is_not_waited_for(ada, first)
        url = hub.environment("web")["REDIS_URL"]
        redis_that_hangs_is_said(ada, url, tmp_path)


def each_is_asked_by_its_own_process(ada: Browser) -> None:
    for machine in ("atlas", "nas"):
        assert "There and back" in ada.post(f"/ask/ping/{machine}")
        page = ada.get(f"/processes/{machine}/")
        [opening] = re.findall(r'name="opening" value="([^"]+)"', page)
        query = urlencode({"opening": opening, "q": "grpcserve"})
        assert "manage.py grpcserve" in ada.get(f"/processes-now/{machine}?{query}")


def settings_reach_both(ada: Browser) -> None:
    for machine, interval in (("atlas", "2"), ("nas", "3")):
        said = ada.post(f"/settle/{machine}", interval_s=interval)
        assert "Saved as revision 1." in said

    ada.until("/agent-standing/atlas", "reported version 2")
    assert "<td>2\u00a0s</td>" in ada.until("/agent-standing/atlas", "Applied.")
    assert ">2\u00a0s<" in ada.post("/ask/diagnose/atlas")
    # What its own machine has settled stays so, and the page says it.
    refused = "The interval stays 1 s: COLLECTOR_COLLECTION_INTERVAL is set"
    ada.until("/agent-standing/nas", refused)
    assert "back to nothing" in ada.post("/bring-back/0/nas")
    ada.until("/agent-standing/nas", "Applied.")


def a_process_that_dies_is_not_waited_for(ada: Browser, first: Process) -> None:
    first.stop(within_s=0)

    before = time.monotonic()
    body = ada.post("/ask/ping/atlas")

    assert "not connected for questions" in body
    assert time.monotonic() - before < 30
    assert "There and back" in ada.post("/ask/ping/nas")


def redis_that_hangs_is_said(ada: Browser, url: str, folder: Path) -> None:
    with unruly_redis(url, folder / "redis.log") as redis:
        redis.pause()
        before = time.monotonic()
        body = ada.post("/ask/ping/nas")
        took_s = time.monotonic() - before
        redis.resume()

    assert "Redis does not answer" in body
    assert took_s < 30
    deadline = time.monotonic() + SOON_S
    while "There and back" not in ada.post("/ask/ping/nas"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
