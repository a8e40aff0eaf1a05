"""What strangers may send to the real web server, byte by byte."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

import pytest

from hub.testing import hubs
from hub.testing.processes import Process, running

pytestmark = [pytest.mark.process, pytest.mark.embedded_only]

START_S = PATIENCE_S = 60
RECEIVE_S, IDLE_S = 2.0, 3.0
MAX_WAITING = 20

SERVE = f"""
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "hub.settings"
from daphne.server import Server
from hub.asgi import application
from hub.web import door
door.RECEIVE_S, door.IDLE_S = {RECEIVE_S}, {IDLE_S}
door.MAX_WAITING = {MAX_WAITING}
server = Server(application, endpoints=["tcp:0:interface=127.0.0.1"], server_name="")
server.ready_callable = lambda: print("port", server.listening_addresses[0][1], flush=1)
server.run()
"""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    process: Process
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def ask(self, target: str, *headers: str, host: str = "", body: str = "") -> Answer:
        lines = [
            f"{'POST' if body else 'GET'} {target} HTTP/1.1",
            f"Host: {host or f'127.0.0.1:{self.port}'}",
            *headers,
            "Connection: close",
        ]
        with self.connect() as line:
            line.sendall("\r\n".join([*lines, "", body]).encode("latin-1"))
            said = b"".join(iter(lambda: line.recv(65536), b""))
        head, _, rest = said.partition(b"\r\n\r\n")
        text = head.decode("latin-1")
        return Answer(int(text.split()[1]), text, rest)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("door")
    env = hubs.environment(DATA_DIR=str(folder), ALLOWED_HOSTS="127.0.0.1")
    log = folder / "server.log"
    with running(
        sys.executable, "-c", SERVE, log=log, env=env, cwd=hubs.ROOT
    ) as process:
        found = process.wait_for_line(r"^port (\d+)$", within_s=START_S)
        yield Server(process, int(found[1]))


@pytest.mark.parametrize(
    "path",
    [
        "/static/../manage.py",
        "/static/..%2fmanage.py",
        "/static/%2e%2e/manage.py",
        "/static/css/..%2f..%2fmanage.py",
        "/static/..%5cmanage.py",
        "/static//../manage.py",
        "/static../manage.py",
        "/static/%252e%252e/manage.py",
        "/static/css/../../../../../../etc/passwd",
        "/static//etc/passwd",
        "/static/%00/etc/passwd",
        "/install/wheels/..%2f..%2f..%2fmanage.py",
        "/..%2fmanage.py",
        "/secret_key",
        "/.env",
    ],
)
def test_no_path_leads_out_of_the_static_files(path: str, server: Server) -> None:
    answer = server.ask(path)

    # 302: an address of a page, or nothing at all, for whoever has signed in.
    assert answer.status in (302, 400, 404), answer.head
    assert b"DJANGO_SETTINGS_MODULE" not in answer.body
    assert b"root:" not in answer.body


def test_a_static_file_comes_out_of_that_door(server: Server) -> None:
    """Else the refusals above would say little."""
    assert server.ask("/static/css/base.css").status == 200


@pytest.mark.parametrize("path", ["/you/", "/health", "/static/css/base.css", "/api/"])
def test_a_forged_host_is_not_answered(path: str, server: Server) -> None:
    forged = server.ask(path, host="evil.example")

    # A file is the same for everybody and leads nowhere.
    assert forged.status == (200 if path.startswith("/static/") else 400)
    assert "evil" not in forged.head
    assert b"evil.example" not in forged.body


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Host: evil.example",
        "X_Forwarded_Host: evil.example",
        "X-Forwarded-Proto: https",
        "X-Original-URL: /health",
        "X-Rewrite-URL: /health",
        "X-HTTP-Method-Override: DELETE",
        "Daphne-Root-Path: //evil.example",
        "daphne-root-path: /you",
        "Forwarded: host=evil.example;proto=https",
    ],
)
def test_a_header_moves_no_address(header: str, server: Server) -> None:
    """A path that a proxy keeps from strangers must not be had by another name."""
    plain = server.ask("/you/")
    moved = server.ask("/you/", header)

    assert plain.status == moved.status == 302
    assert "\r\nLocation: /sign-in/?next=/you/\r\n" in moved.head
    assert server.ask("/x/health", header, "Daphne-Root-Path: /x").status == 404
    assert server.ask("http://evil.example/health").status == 404


def test_too_much_is_refused_before_it_is_taken(server: Server) -> None:
    announced = server.ask("/sign-in/", f"Content-Length: {2**40}", body="x")

    # Who is waited for gets a 408.
    assert announced.status == 413


def test_too_much_in_pieces_is_cut_off(server: Server) -> None:
    head = f"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    with server.connect() as line:
        line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            while sent < 64 * 2**20:
                line.sendall(piece)
                sent += len(piece)
        except OSError:
            # Cut off: what the two systems hold between us was still taken.
            pass

    assert 2**20 <= sent < 32 * 2**20


def test_a_request_of_the_usual_size_is_taken(server: Server) -> None:
    told = "x" * 900_000
    answer = server.ask("/install/hub.json", f"Content-Length: {len(told)}", body=told)

    assert answer.status in (403, 405)


HEAD = b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
ASKED = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# How somebody begins, what they send now and then, and what they hear before the end.
SLOW = (
    (HEAD, b"X-A: b\r\n", b"HTTP/1.1 408 "),
    (HEAD + b"Content-Length: 1000\r\n\r\n", b"a", b"HTTP/1.1 408 "),
    # Not even a first line, at once or after a request that was answered.
    (b"", b"G", b""),
    (b"", b"", b""),
    (ASKED, b"G", b"HTTP/1.1 200 "),
    (ASKED, b"", b"HTTP/1.1 200 "),
)


def test_who_never_finishes_is_not_waited_for(server: Server) -> None:
    with ThreadPoolExecutor(len(SLOW)) as threads:
        heard = list(threads.map(partial(dripped, server), SLOW))

    for (_, _, said), one in zip(SLOW, heard, strict=True):
        assert one.startswith(said), one
        assert one.count(b"HTTP/1.1") == bool(said), one
    assert server.ask("/health").status == 200


def dripped(server: Server, how: tuple[bytes, bytes, bytes]) -> bytes:
    """Send a little now and then until the hub has hung up; return what it said."""
    begun, drip, _ = how
    heard, ends_s = b"", time.monotonic() + PATIENCE_S
    with server.connect() as line:
        line.sendall(begun)
        line.settimeout(0.2)
        while True:
            assert time.monotonic() < ends_s, heard
            with suppress(TimeoutError, ConnectionError):
                if not (said := line.recv(1000)):
                    return heard
                heard += said
                continue
            try:
                line.sendall(drip)
            except ConnectionError:
                return heard


def test_connections_that_ask_nothing_make_room_for_those_that_do(
    server: Server,
) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(2 * MAX_WAITING)]

        assert server.ask("/health").status == 200
        # The first to come has waited longest.
        idle[0].settimeout(PATIENCE_S)
        with suppress(ConnectionError):
            assert idle[0].recv(1) == b""

    assert server.process.output().count("web.crowded") == 1


@pytest.mark.parametrize("what", ["long", "many"])
def test_endless_headers_are_refused(what: str, server: Server) -> None:
    headers = (
        ["X-A: " + "a" * 70_000]
        if what == "long"
        else [f"X-{n}: a" for n in range(900)]
    )

    # Or cut off before all of it was read.
    with suppress(ConnectionResetError, BrokenPipeError, IndexError):
        assert server.ask("/health", *headers).status in (400, 431)
    assert server.ask("/health").status == 200
