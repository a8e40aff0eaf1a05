"""A container engine on a socket. Podman's answers are recorded from a live one;
Docker's are written after the API's reference, in the forms of Docker 28.
"""

from __future__ import annotations

import copy
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_S

ANSWERS = Path(__file__).parent / "fixtures" / "engine"


PODMAN = "podman-4.3.1"


def written(name: str) -> Any:
    return json.loads((ANSWERS / f"{name}.json").read_text())


def recorded() -> dict[str, dict[str, Any]]:
    """Return what Podman answered about each container, by its name."""
    told: dict[str, dict[str, Any]] = written(PODMAN)["containers"]
    return told


class Engine:
    """Say what there is by changing `list`, `inspect` and `stats`, by id."""

    def __init__(self) -> None:
        self.list: list[dict[str, Any]] = []
        self.inspect: dict[str, dict[str, Any]] = {}
        self.stats: dict[str, dict[str, Any]] = {}
        # Every request line, as it came.
        self.asked: list[str] = []
        # Set: no answer until it is cleared again.
        self.silent = threading.Event()
        self.stopped = threading.Event()
        # Whether counters grow with the clock, as those of busy containers do.
        self.moving = False
        # Podman's version; "" = it is Docker.
        self.podman = ""
        # What to send instead of an answer.
        self.instead: bytes = b""

    def add(
        self, name: str, *, like: str = "web", number: int | None = None
    ) -> dict[str, Any]:
        """Add a container like the written one, under its own name and id."""
        number = len(self.list) + 1 if number is None else number
        id_ = f"{number:064x}"
        row: dict[str, Any] = copy.deepcopy(written(f"{like}-list"))
        row |= {"Id": id_, "Names": [f"/{name}"]}
        self.list.append(row)
        self.inspect[id_] = copy.deepcopy(written(f"{like}-inspect")) | {"Id": id_}
        self.stats[id_] = copy.deepcopy(written(f"{like}-stats"))
        return row

    def replay(self, *names: str) -> None:
        """Be the Podman that was recorded, with these of its containers, or all."""
        self.podman = PODMAN.partition("-")[2]
        for name, told in recorded().items():
            if not names or name in names:
                id_ = told["list"]["Id"]
                self.list.append(told["list"])
                self.inspect[id_] = told["inspect"]
                self.stats[id_] = told["stats"]

    def answer(self, path: str) -> tuple[int, Any]:
        route, _, _ = path.partition("?")
        if route == "/containers/json":
            return 200, self.list
        _, _, id_, what = route.split("/")
        table = {"json": self.inspect, "stats": self.stats}[what]
        if id_ not in table:
            return 404, {"message": "No such container"}
        answer = table[id_]
        if self.moving and what == "stats":
            move(answer)
        return 200, answer


def move(stats: dict[str, Any]) -> None:
    """Let a container have worked up to this moment, at a fifth of a core."""
    now = datetime.now(UTC)
    stats["read"] = now.isoformat().replace("+00:00", "000Z")
    stats["cpu_stats"]["cpu_usage"]["total_usage"] = int(now.timestamp() * 2e8)
    stats["networks"]["eth0"]["rx_bytes"] = int(now.timestamp() * 1000)


@contextmanager
def listening(path: Path) -> Iterator[Engine]:
    """Serve an engine there, one connection at a time, until the block ends."""
    engine = Engine()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve, args=(engine, server), daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            engine.stopped.set()
            engine.silent.clear()
            # Wakes it up where it waits for the next to call.
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


def serve(engine: Engine, server: socket.socket) -> None:
    while not engine.stopped.is_set():
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            while request := lines.readline():
                while lines.readline().strip():
                    pass
                engine.asked.append(request.decode().strip())
                while engine.silent.is_set():
                    engine.stopped.wait(0.01)
                try:
                    connection.sendall(response(engine, request.split()[1].decode()))
                except OSError:
                    break


def response(engine: Engine, path: str) -> bytes:
    if engine.instead:
        return engine.instead
    status, body = engine.answer(path)
    podman = f"Libpod-Api-Version: {engine.podman}\r\n" if engine.podman else ""
    if body is None:  # What Podman says of the counters of what does not run.
        return f"HTTP/1.1 200 OK\r\n{podman}Content-Length: 0\r\n\r\n".encode()
    raw = json.dumps(body).encode()
    # In chunks, as Docker sends what is long.
    return (
        (
            f"HTTP/1.1 {status} Whatever\r\n{podman}Content-Type: application/json\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n{len(raw):x}\r\n"
        ).encode()
        + raw
        + b"\r\n0\r\n\r\n"
    )
