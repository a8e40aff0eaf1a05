"""As much of D-Bus as it takes to ask one question and read the answer.

A call without arguments, over a Unix socket, as the user that this process is.
The wire is https://dbus.freedesktop.org/doc/dbus-specification.html.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# A machine with 10,000 units answers with about 3 MB.
MAX_MESSAGE_BYTES = 16 * 1024**2
MAX_LINE_BYTES = 1024
# Messages that may come before the answer: signals to everybody.
MAX_OTHERS = 100
CALL, RETURN, ERROR = 1, 2, 3
# A service that is not there is not to be started for this.
NO_AUTO_START = 2
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_TO, DESTINATION, SIGNATURE = (
    *(1, 2, 3, 4, 5),
    *(6, 8),
)
ALIGNMENT = {
    **dict.fromkeys("ybg", 1) | {"b": 4},
    **dict.fromkeys("nq", 2),
    **dict.fromkeys("iuhsoa", 4),
    **dict.fromkeys("xtd({", 8),
    "g": 1,
    "v": 1,
}
NUMBERS = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "h": "I", "b": "I"} | {
    "x": "q",
    "t": "Q",
    "d": "d",
}


class BusFailed(Exception):
    """The bus does not speak as it should, or said that something failed.

    `name` is the error's own, such as org.freedesktop.DBus.Error.ServiceUnknown.
    """

    def __init__(self, sentence: str, name: str = "") -> None:
        super().__init__(sentence)
        self.name = name


class Method(NamedTuple):
    destination: str
    path: str
    interface: str
    member: str


HELLO = Method(
    "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"
)


class Bus:
    """One connection. Close it. Raises BusFailed and OSError."""

    def __init__(
        self,
        path: str,
        *,
        within_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`within_s` is for all that is asked of it together."""
        self._clock = clock
        self._ends_s = clock() + within_s
        self._serial = 0
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._hurry()
            self._socket.connect(path)
            self._authenticate()
            self.call(HELLO)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def call(self, method: Method) -> list[Any]:
        """Return the arguments of the answer."""
        self._serial += 1
        self._send(call_message(method, self._serial))
        for _ in range(MAX_OTHERS):
            kind, fields, body = self._message()
            if fields.get(REPLY_TO) != self._serial or kind not in (RETURN, ERROR):
                continue
            arguments = body.values(str(fields.get(SIGNATURE, "")))
            if kind == ERROR:
                name = str(fields.get(ERROR_NAME, ""))
                raise BusFailed(f"{method.member}: {name} {arguments[:1]}", name)
            return arguments
        raise BusFailed(f"{method.member}: no answer among {MAX_OTHERS} messages")

    def _authenticate(self) -> None:
        uid = str(os.getuid()).encode().hex()
        self._send(f"\0AUTH EXTERNAL {uid}\r\n".encode())
        answer = self._line()
        if not answer.startswith(b"OK "):
            raise BusFailed(f"the bus does not let user {os.getuid()} in")
        self._send(b"BEGIN\r\n")

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise BusFailed("the bus's greeting is too long")
            self._more()
        line, _, rest = bytes(self._buffer).partition(b"\r\n")
        self._buffer = bytearray(rest)
        return line

    def _message(self) -> tuple[int, dict[int, Any], Reader]:
        self._need(16)
        order = {b"l": "<", b"B": ">"}.get(bytes(self._buffer[:1]), "")
        if not order:
            raise BusFailed("the bus speaks in an unknown order of bytes")
        body_length, _, fields_length = struct.unpack_from(
            f"{order}III", self._buffer, 4
        )
        # The header is padded to a multiple of eight.
        start = 16 + (fields_length + 7) // 8 * 8
        if start + body_length > MAX_MESSAGE_BYTES:
            raise BusFailed("the bus's answer is too long")
        self._need(start + body_length)
        raw = bytes(self._buffer[: start + body_length])
        del self._buffer[: start + body_length]
        kind = raw[1]
        fields = dict(Reader(raw, 12, order).values("a(yv)")[0])
        return kind, fields, Reader(raw, start, order)

    def _need(self, size: int) -> None:
        while len(self._buffer) < size:
            self._more()

    def _more(self) -> None:
        self._hurry()
        data = self._socket.recv(256 * 1024)
        if not data:
            raise BusFailed("the bus hung up")
        self._buffer += data

    def _send(self, data: bytes) -> None:
        self._hurry()
        self._socket.sendall(data)

    def _hurry(self) -> None:
        left_s = self._ends_s - self._clock()
        if left_s <= 0:
            raise BusFailed("the bus takes too long")
        self._socket.settimeout(left_s)


def call_message(method: Method, serial: int) -> bytes:
    texts = {
        PATH: ("o", method.path),
        DESTINATION: ("s", method.destination),
        INTERFACE: ("s", method.interface),
        MEMBER: ("s", method.member),
    }
    fields = bytearray()
    for code, (kind, text) in texts.items():
        fields += bytes(-len(fields) % 8)
        # The variant: its signature, then a text with its length and a zero.
        fields += struct.pack("<BBsB", code, 1, kind.encode(), 0)
        fields += struct.pack("<I", len(text)) + text.encode() + b"\0"
    flags = 0 if method is HELLO else NO_AUTO_START
    head = struct.pack("<sBBBIII", b"l", CALL, flags, 1, 0, serial, len(fields))
    return head + bytes(fields) + bytes(-len(fields) % 8)


class Reader:
    """Reads values off a message, one signature after another."""

    def __init__(self, data: bytes, place: int, order: str) -> None:
        # Values are aligned from the beginning of the message; bodies begin at a
        # multiple of eight, so that it is the same for them.
        self._data = data
        self._place = place
        self._order = order

    def values(self, signature: str) -> list[Any]:
        found = []
        while signature:
            kind, signature = first_type(signature)
            found.append(self._value(kind))
        return found

    def _value(self, kind: str) -> Any:
        code = kind[0]
        self._align(ALIGNMENT[code])
        if code in NUMBERS:
            return self._number(NUMBERS[code])
        if code in "sog":
            length = self._number("B" if code == "g" else "I")
            start, self._place = self._place, self._place + length + 1
            if self._place > len(self._data):
                raise BusFailed("a text is longer than its message")
            return self._data[start : start + length].decode("utf-8", "replace")
        if code == "v":
            return self.values(self._value("g"))[0]
        if code == "a":
            return self._array(kind[1:])
        # A structure, or an entry of a dictionary.
        return tuple(self.values(kind[1:-1]))

    def _array(self, kind: str) -> list[Any]:
        length = self._number("I")
        self._align(ALIGNMENT[kind[0]])
        end = self._place + length
        if end > len(self._data):
            raise BusFailed("an array is longer than its message")
        found = []
        while (before := self._place) < end:
            found.append(self._value(kind))
            if self._place == before:
                raise BusFailed("an array of nothing")
        return found

    def _number(self, form: str) -> Any:
        layout = self._order + form
        size = struct.calcsize(layout)
        try:
            (value,) = struct.unpack_from(layout, self._data, self._place)
        except struct.error:
            raise BusFailed("a value is longer than its message") from None
        self._place += size
        return value

    def _align(self, size: int) -> None:
        self._place += -self._place % size


def first_type(signature: str) -> tuple[str, str]:
    """Split "a{sv}u" into "a{sv}" and "u"."""
    end = 0
    while signature[end : end + 1] == "a":
        end += 1
    if signature[end : end + 1] in ("(", "{"):
        depth = 1
        while depth:
            end += 1
            if end >= len(signature):
                raise BusFailed("a signature does not end")
            depth += (signature[end] in "({") - (signature[end] in ")}")
    kind = signature[: end + 1]
    if kind[-1:] not in ALIGNMENT and kind[-1:] not in (")", "}"):
        raise BusFailed(f"the signature {signature[:20]!r} is not known here")
    return kind, signature[end + 1 :]
