"""A system bus on a socket, with a systemd that has the units it is given, or one
that says what a real one has said.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE_S

# Name, load state, active state.
Unit = tuple[str, str, str]
RECORDED = Path(__file__).parent / "fixtures" / "bus"
RETURN, ERROR, SIGNAL = 2, 3, 4


class Bus:
    def __init__(self) -> None:
        self.units: list[Unit] = []
        # The name of an error to answer with.
        self.error = ""
        self.admits = True
        # How many bytes each write has; a stream may break anywhere.
        self.piece = 1 << 20
        self.order = "<"
        self.greeting: list[bytes] = []
        self.asked: list[bytes] = []
        self.silent = False
        # All that a real bus has sent, from its greeting on.
        self.recorded = b""

    def replay(self, name: str) -> None:
        self.recorded = (RECORDED / f"{name}.bin").read_bytes()

    def talk(self, connection: socket.socket) -> None:
        self.greeting.append(connection.recv(1024))
        if self.recorded:
            self._play(connection)
            return
        connection.sendall(b"OK 1234deadbeef\r\n" if self.admits else b"REJECTED\r\n")
        if not self.admits or connection.recv(7) != b"BEGIN\r\n":
            return
        serial = 0
        while message := connection.recv(4096):
            serial += 1
            self.asked.append(message)
            if self.silent:
                continue
            body = text(self.order, ":1.7") if serial == 1 else self._body()
            answer = self._answer(serial, "s" if serial == 1 else "", body)
            # A signal to everybody comes in between.
            self._send(connection, self._signal() + answer)

    def _play(self, connection: socket.socket) -> None:
        greeting, line_end, messages = self.recorded.partition(b"\r\n")
        connection.sendall(greeting + line_end)
        while asked := connection.recv(4096):
            self.asked.append(asked)
            # The next answer may come early: it has its question's number.
            if b"Hello" in asked:
                self._send(connection, messages)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        for start in range(0, len(data), self.piece):
            connection.sendall(data[start : start + self.piece])

    def _body(self) -> bytes:
        return text(self.order, self.error) if self.error else rows(self)

    def _answer(self, serial: int, signature: str, body: bytes) -> bytes:
        signature = signature or ("s" if self.error else "a(ssssssouso)")
        failed = bool(self.error) and serial > 1
        fields = field(self.order, 5, "u", struct.pack(f"{self.order}I", serial))
        if failed:
            fields = pad(fields) + field(
                self.order, 4, "s", text(self.order, self.error)
            )
        fields = pad(fields) + field(
            self.order, 8, "g", bytes([len(signature)]) + signature.encode() + b"\0"
        )
        return self._message(ERROR if failed else RETURN, fields, body)

    def _signal(self) -> bytes:
        fields = field(self.order, 3, "s", text(self.order, "NameAcquired"))
        return self._message(SIGNAL, fields, b"")

    def _message(self, kind: int, fields: bytes, body: bytes) -> bytes:
        order = b"l" if self.order == "<" else b"B"
        head = struct.pack(
            f"{self.order}sBBBIII", order, kind, 0, 1, len(body), 9, len(fields)
        )
        return pad(head + fields) + body


def rows(bus: Bus) -> bytes:
    data = b""
    for name, load, active in bus.units:
        data = pad(data)
        for column in (name, f"About {name}", load, active, "dead", ""):
            data = pad(data, 4) + text(bus.order, column)
        data = pad(data, 4) + text(bus.order, "/org/freedesktop/systemd1/unit/x")
        data = pad(data, 4) + struct.pack(f"{bus.order}I", 0)
        for column in ("", "/"):
            data = pad(data, 4) + text(bus.order, column)
    # The length, and room up to the first structure.
    return struct.pack(f"{bus.order}I", len(data)) + bytes(4) + data


def text(order: str, said: str) -> bytes:
    raw = said.encode()
    return struct.pack(f"{order}I", len(raw)) + raw + b"\0"


def field(order: str, code: int, kind: str, value: bytes) -> bytes:
    return bytes([code, 1]) + kind.encode() + b"\0" + value


def pad(data: bytes, size: int = 8) -> bytes:
    return data + bytes(-len(data) % size)


@contextmanager
def listening(path: Path, units: Sequence[Unit] = ()) -> Iterator[Bus]:
    bus = Bus()
    bus.units = list(units)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(PATIENCE_S)
                    try:
                        bus.talk(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield bus
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)
