"""The line breaks as it is told, and only so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from hub.testing.oracle.proxy import Lines, Mode, Proxy, lines
from hub.testing.patience import PATIENCE_S

SILENCE_S = 0.2


@contextmanager
def echo() -> Iterator[tuple[int, list[bytes]]]:
    """Answer what comes with itself; keep it in a list."""
    heard: list[bytes] = []

    def talk(line: socket.socket) -> None:
        with closing(line):
            try:
                while data := line.recv(1024):
                    heard.append(data)
                    line.sendall(data)
            except OSError:
                return

    def listen() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(line,), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE_S)


@pytest.fixture
def made() -> Iterator[Lines]:
    with lines() as made:
        yield made


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)


def is_silent(line: socket.socket) -> bool:
    line.settimeout(SILENCE_S)
    try:
        line.recv(10)
    except TimeoutError:
        return True
    else:
        return False
    finally:
        line.settimeout(PATIENCE_S)


def test_what_is_well_is_carried_both_ways(made: Lines) -> None:
    with echo() as (port, _), closing(connect(Proxy(made, port))) as line:
        line.sendall(b"one")

        assert line.recv(10) == b"one"


def test_a_cut_is_a_reset(made: Lines) -> None:
    with echo() as (port, _):
        proxy = Proxy(made, port)
        with closing(connect(proxy)) as line:
            line.sendall(b"one")
            line.recv(10)
            proxy.cut()

            with pytest.raises(ConnectionResetError):
                line.recv(10)


def test_a_black_hole_carries_nothing_until_it_is_healed(made: Lines) -> None:
    with echo() as (port, heard):
        proxy = Proxy(made, port)
        with closing(connect(proxy)) as line:
            proxy.set(Mode.BLACKHOLE)
            line.sendall(b"one")

            assert is_silent(line)
            assert heard == []
            proxy.set(Mode.PASS)
            assert line.recv(10) == b"one"


def test_lost_acks_arrive_above_and_nothing_comes_back(made: Lines) -> None:
    with echo() as (port, heard):
        proxy = Proxy(made, port)
        with closing(connect(proxy)) as line:
            proxy.set(Mode.DEAF)
            line.sendall(b"one")

            assert is_silent(line)
            assert heard == [b"one"]
            # What was lost cannot be mended: the line ends.
            proxy.set(Mode.PASS)
            with pytest.raises(ConnectionResetError):
                line.recv(10)


def test_a_half_open_line_stays_dead_and_a_new_one_is_well(made: Lines) -> None:
    with echo() as (port, heard):
        proxy = Proxy(made, port)
        with closing(connect(proxy)) as dead, closing(connect(proxy)) as other:
            for line in (dead, other):
                line.sendall(b"before")
                assert line.recv(10) == b"before"
            proxy.half_open()
            dead.sendall(b"after")
            with closing(connect(proxy)) as new:
                new.sendall(b"new")

                assert new.recv(10) == b"new"
            assert is_silent(dead)
            assert b"after" not in heard


def test_a_hub_that_is_not_there_refuses(made: Lines) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    proxy = Proxy(made, port)

    # The reset may arrive before `connect` has returned.
    with pytest.raises(ConnectionResetError), closing(connect(proxy)) as line:
        line.recv(10)
