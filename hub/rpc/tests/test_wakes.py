from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from hub.rpc import wakes
from hub.rpc.wakes import EVERY_S, Loop, Wakes
from hub.testing.patience import until

# So seldom that a busy machine, too, has many events in that time.
SELDOM_S = 0.3


class Handler:
    """Does what gRPC's does: takes a byte, then handles all events there are."""

    def __init__(self, read: socket.socket) -> None:
        self.read = read
        self.calls = self.waiting = self.handled = 0

    def _handle_events(self) -> None:
        assert self.read.recv(1)
        self.calls += 1
        self.handled += self.waiting
        self.waiting = 0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    read, write = socket.socketpair()
    read.setblocking(False)
    with read, write:
        yield read, write


def run(work: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(work())


def test_a_single_event_is_handled_at_once(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    read, write = pair
    handler = Handler(read)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(read, handler._handle_events)
        for expected in (1, 2):
            await asyncio.sleep(5 * EVERY_S)
            handler.waiting = 1
            write.send(b"1")
            await asyncio.sleep(EVERY_S / 4)
            assert handler.handled == expected
        loop.remove_reader(read)

    run(work)


def test_many_events_are_handled_together_and_none_is_forgotten(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = pair
    handler = Handler(read)
    monkeypatch.setattr(wakes, "EVERY_S", SELDOM_S)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(read, handler._handle_events)
        for _ in range(200):
            handler.waiting += 1
            write.send(b"1")
            await asyncio.sleep(0.001)
        await until(lambda: handler.handled == 200)
        loop.remove_reader(read)

    run(work)

    assert handler.calls < 50


class HandMoved:
    """A loop whose time passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.readable: Callable[[], None] | None = None

    def time(self) -> float:
        return self.now_s

    def add_reader(self, _: socket.socket, readable: Callable[[], None]) -> None:
        self.readable = readable

    def remove_reader(self, _: socket.socket) -> None:
        self.readable = None

    def call_later(self, after_s: float, work: Callable[[], None]) -> None:
        self.after_s, self.work = after_s, work

    def next(self) -> None:
        self.now_s += self.after_s
        self.work()


def test_it_looks_by_the_clock_only_while_there_are_many(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    read, write = pair
    loop, handler = HandMoved(), Handler(read)
    Wakes(loop, read, handler._handle_events).start()

    seen = []
    for events in (wakes.MANY - 1, wakes.MANY - 1, wakes.MANY):
        for _ in range(events):
            write.send(b"1")
            assert loop.readable
            loop.readable()
        seen.append(loop.readable is not None)
        loop.now_s += 2 * EVERY_S
    for events in (wakes.MANY, wakes.MANY - 1):
        write.send(b"1" * events)
        loop.next()
        seen.append(loop.readable is not None)

    assert seen == [True, True, False, False, True]


def test_while_calls_begin_no_event_waits(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = pair
    handler = Handler(read)
    monkeypatch.setattr(wakes, "EVERY_S", SELDOM_S)
    monkeypatch.setattr(wakes, "HURRY_S", 2.0)

    async def handled_at_once() -> int:
        before = handler.calls
        for _ in range(20):
            handler.waiting += 1
            write.send(b"1")
            await asyncio.sleep(0.001)
        return handler.calls - before

    async def work() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        loop.add_reader(read, handler._handle_events)
        by_the_clock = await handled_at_once()
        wakes.hurry()
        in_a_hurry = await handled_at_once()
        await asyncio.sleep(wakes.HURRY_S)
        again = await handled_at_once()
        loop.remove_reader(read)
        assert in_a_hurry == 20
        assert by_the_clock < 15
        assert again < 15

    run(work)


def test_on_any_other_loop_a_beginning_call_changes_nothing() -> None:
    async def work() -> None:
        wakes.hurry()

    asyncio.run(work())


def test_after_its_end_the_socket_is_left_alone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    read, write = pair
    handler = Handler(read)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(read, handler._handle_events)
        for _ in range(50):
            write.send(b"1")
            await asyncio.sleep(EVERY_S / 20)
        loop.remove_reader(read)
        calls = handler.calls
        write.send(b"1")
        await asyncio.sleep(4 * EVERY_S)
        assert handler.calls == calls

    run(work)


def test_a_handler_of_another_name_is_heard_as_on_any_loop(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    read, write = pair
    heard: list[bytes] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(read, lambda: heard.append(read.recv(1)))
        for _ in range(50):
            write.send(b"1")
            await asyncio.sleep(0.001)
        await asyncio.sleep(EVERY_S)
        loop.remove_reader(read)
        write.send(b"1")
        await asyncio.sleep(EVERY_S)

    run(work)

    assert heard == [b"1"] * 50


def test_grpc_is_heard_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[wakes.Wakes] = []

    class Noted(wakes.Wakes):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(wakes, "Wakes", Noted)

    async def echo(request: bytes, context: object) -> bytes:
        return request

    async def work() -> None:
        handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
        server = grpc.aio.server()
        service = grpc.method_handlers_generic_handler("test", handlers)
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/test/Echo")
            said = [str(number).encode() for number in range(200)]
            assert await asyncio.gather(*map(call, said)) == said
        await server.stop(0)

    run(work)

    assert made
