"""The browser's side, static/js/live.js, in a real browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from hub.live.frames import Close, frame
from hub.testing.patience import PATIENCE_S
from hub.testing.services import chromium_path

pytestmark = pytest.mark.browser

MODULE = Path(__file__).parents[3] / "static/js/live.js"

PAGE = """
<script type="module">
  import {connect} from "/live.js";
  window.heard = [];
  window.line = connect({
    view: "full",
    machines: ["web-1", "a b&c"],
    onSnapshot: (told) => heard.push(["snapshot", told.n]),
    onChanges: (told) => {
      heard.push(["changes", told.n]);
      if (told.n === 3) throw new Error("a bad drawing");
    },
    onStatus: (status) => heard.push(["status", status]),
  });
</script>
"""


class Hub:
    """Serves the page; keeps its end of each line open until it is closed."""

    def __init__(self) -> None:
        self.lines: Queue[ServerConnection] = Queue()
        self._over = threading.Event()
        self._server = serve(
            self._hold, "127.0.0.1", 0, process_request=self._answer, close_timeout=1
        )
        self.address = "http://{}:{}/".format(*self._server.socket.getsockname())
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def line(self) -> ServerConnection:
        return self.lines.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()

    def _hold(self, line: ServerConnection) -> None:
        self.lines.put(line)
        self._over.wait()

    def _answer(self, line: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/ws"):
            return None
        is_module = request.path == "/live.js"
        answer = line.respond(200, MODULE.read_text() if is_module else PAGE)
        del answer.headers["Content-Type"]
        answer.headers["Content-Type"] = "text/javascript" if is_module else "text/html"
        return answer


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@contextmanager
def a_page(hub: Hub) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path())
        page = browser.new_page()
        page.goto(hub.address)
        page.wait_for_function("window.line")
        yield page
        browser.close()


def ack(socket: ServerConnection) -> Any:
    return json.loads(socket.recv(timeout=PATIENCE_S))


def wait_for(page: Page, *entry: object) -> None:
    page.wait_for_function(
        "(entry) => JSON.stringify(heard.at(-1)) === entry",
        arg=json.dumps(entry, separators=(",", ":")),
        timeout=PATIENCE_S * 1000,
    )


def test_a_page_hears_acknowledges_and_comes_back(hub: Hub) -> None:
    with a_page(hub) as page:
        first = hub.line()
        assert first.request is not None
        assert first.request.path == "/ws?view=full&machine=web-1&machine=a+b%26c"

        ahead_ms = 3_600_000
        at_ms = int(page.evaluate("Date.now()")) + ahead_ms
        first.send(frame("snapshot", 1, at_ms, []))
        assert ack(first) == {"type": "ack", "n": 1}
        assert abs(page.evaluate("line.now() - Date.now()") - ahead_ms) < 1000

        first.send(frame("changes", 2, at_ms, [], bus_down=True))
        assert ack(first) == {"type": "ack", "n": 2}
        first.send(frame("changes", 3, at_ms, []))
        assert ack(first) == {"type": "ack", "n": 3}
        first.close(1001)

        second = hub.line()
        second.send(frame("snapshot", 1, at_ms, []))
        assert ack(second) == {"type": "ack", "n": 1}
        second.close(Close.SIGNED_OUT)
        wait_for(page, "status", "signed-out")

        assert page.evaluate("heard") == [
            ["status", "connecting"],
            ["snapshot", 1],
            ["status", "connected"],
            ["changes", 2],
            ["status", "late"],
            ["changes", 3],
            ["status", "connected"],
            ["status", "connecting"],
            ["snapshot", 1],
            ["status", "connected"],
            ["status", "signed-out"],
        ]


def test_a_silent_line_is_taken_for_dead(hub: Hub) -> None:
    with a_page(hub) as page:
        first = hub.line()
        first.send(frame("snapshot", 1, 0, []))
        wait_for(page, "status", "connected")

        second = hub.line()
        second.send(frame("snapshot", 1, 0, []))

        wait_for(page, "status", "connected")
        assert ["status", "connecting"] in page.evaluate("heard.slice(3)")


HIDDEN = """(hidden) => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_page_that_nobody_sees_rests_until_somebody_does(hub: Hub) -> None:
    with a_page(hub) as page:
        first = hub.line()
        page.evaluate("line.rest()")
        first.send(frame("snapshot", 1, 0, []))
        assert ack(first) == {"type": "ack", "n": 1}, "in sight it goes on"

        page.evaluate(HIDDEN, True)
        page.evaluate("line.rest()")
        with pytest.raises(ConnectionClosed):
            first.recv(timeout=PATIENCE_S)
        page.wait_for_timeout(1500)
        assert hub.lines.empty()

        page.evaluate(HIDDEN, False)
        second = hub.line()
        second.send(frame("snapshot", 1, 0, []))
        assert ack(second) == {"type": "ack", "n": 1}
