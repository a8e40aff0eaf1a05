"""Docker, or Podman in its tongue: who there is, over the engine's socket.

Only ever asks (GET), for three things: the list, one container's state, one
container's counters. Ids are checked before they become part of a path.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import Any

from sysmonstm_agent.containers.container import STATES, UNKNOWN, Container
from sysmonstm_agent.containers.counts import Counts
from sysmonstm_agent.metric import NAN

# Each call, and all of one look together.
CALL_S = 5.0
LOOK_S = 20.0
# A list of 1,000 containers is about 2 MB.
MAX_ANSWER_BYTES = 8 * 1024**2
MAX_CONTAINERS = 1_000
ID = re.compile(r"[0-9a-f]{12,64}")
# Podman's own words, which it lets through on its way to or from Docker's.
PODMANS = {"stopped": "exited", "stopping": "running"}
# Podman that tells of a network from its other end, so sent is received; 4.4
# does not any more.
SWAPPED = re.compile(r"4\.3\b")
YOUNG = re.compile(r"Up (?:Less than a second|\d+ seconds?)\b")
HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)$")


class EngineFailed(Exception):
    """The engine does not answer, or not in the tongue that is known here."""


class Engine:
    """One look's conversation. Close it."""

    def __init__(
        self, path: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = UnixConnection(path)
        self._clock = clock
        self._ends_s = clock() + LOOK_S
        # Podman's version, of the newest answer; nothing where it is Docker.
        self._podman = ""

    def close(self) -> None:
        self._http.close()

    def containers(self) -> list[Container]:
        """Return those that run and those that do not."""
        rows = self._get("/containers/json?all=1")
        if not isinstance(rows, list):
            raise EngineFailed("the list of containers is no list")
        return [listed(row) for row in rows[:MAX_CONTAINERS]]

    def inspect(self, container: Container) -> Detail | None:
        """Return None when it is gone."""
        answer = self._container(container, "json")
        return detailed(answer) if answer else None

    def stats(self, container: Container) -> Counts | None:
        """Return None when it is gone, or does not run any more."""
        # Without one-shot the engine waits for a second reading, a second.
        answer = self._container(container, "stats?stream=false&one-shot=true")
        try:
            counts = counted(answer) if answer else None
        except (KeyError, TypeError) as error:
            raise EngineFailed(f"a container's counters lack {error}") from None
        if counts and SWAPPED.match(self._podman):
            received, sent = counts.sent_bytes, counts.received_bytes
            return counts._replace(received_bytes=received, sent_bytes=sent)
        return counts

    def _container(self, container: Container, what: str) -> dict[str, Any]:
        if not ID.fullmatch(container.id):
            raise EngineFailed("an id is no id")
        answer = self._get(f"/containers/{container.id}/{what}")
        if not isinstance(answer, dict):
            raise EngineFailed("a container's state is no object")
        return answer

    def _get(self, path: str) -> Any:
        left_s = self._ends_s - self._clock()
        if left_s <= 0:
            raise EngineFailed(f"the engine took longer than {LOOK_S:g} s")
        self._http.timeout = min(CALL_S, left_s)
        try:
            self._http.request("GET", path, headers={"Host": "localhost"})
            answer = self._http.getresponse()
            body = answer.read(MAX_ANSWER_BYTES)
            if not answer.isclosed() and answer.read(1):
                raise EngineFailed("the engine's answer is too long")
            if answer.status == 404:
                return {}
            if answer.status != 200:
                raise EngineFailed(f"the engine answered {answer.status}")
            self._podman = answer.getheader("Libpod-Api-Version", "")
            # That is how Podman says that a container does not run.
            return json.loads(body) if body else {}
        except (HTTPException, ValueError) as error:
            raise EngineFailed(f"the engine's answer makes no sense: {error}") from None


class UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CALL_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def listed(row: dict[str, Any]) -> Container:
    """Read one row of the list. Its "Status" is prose: "Up 2 hours (unhealthy)"."""
    id_ = str(row["Id"])
    names = row.get("Names") or []
    # Links of old add names such as "/web/db"; the own one has no second slash.
    own = [str(name).lstrip("/") for name in names if str(name).count("/") <= 1]
    state = str(row.get("State") or "").lower()
    state = PODMANS.get(state, state)
    status = str(row.get("Status") or "")
    health = HEALTH.search(status)
    return Container(
        id=id_,
        name=own[0] if own and own[0] else id_[:12],
        state=STATES.index(state) if state in STATES else UNKNOWN,
        unhealthy=health[1] == "unhealthy" if health else None,
        young=YOUNG.match(status) is not None,
    )


@dataclass(frozen=True, slots=True)
class Detail:
    """What the list does not tell of a container."""

    unhealthy: bool | None
    restarts: int
    started_s: float


def detailed(answer: dict[str, Any]) -> Detail:
    state = answer.get("State") or {}
    health = state.get("Health") or state.get("Healthcheck") or {}
    status = str(health.get("Status") or "none").lower()
    return Detail(
        # "none" is said of containers without a check.
        unhealthy=None if status == "none" else status == "unhealthy",
        restarts=int(answer.get("RestartCount") or 0),
        started_s=moment_s(str(state.get("StartedAt") or "")),
    )


def counted(answer: dict[str, Any]) -> Counts:
    """Read one container's counters, as version 1 or 2 of control groups has them."""
    cpu = answer["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    memory = answer.get("memory_stats") or {}
    parts = memory.get("stats") or {}
    cache = parts.get("inactive_file", parts.get("total_inactive_file", 0))
    # A stopped container has no usage.
    used = max(0.0, float(memory.get("usage") or 0) - cache)
    received, sent = network(answer.get("networks") or {})
    io = (answer.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return Counts(
        at_s=moment_s(str(answer.get("read") or "")),
        cpu_s=cpu,
        memory_bytes=used,
        # Where there is none it is what the machine has, which only /proc knows.
        memory_limit_bytes=float(memory.get("limit") or NAN),
        received_bytes=received,
        sent_bytes=sent,
        read_bytes=sum_io(io, "read"),
        written_bytes=sum_io(io, "write"),
    )


def network(interfaces: dict[str, dict[str, float]]) -> tuple[float, float]:
    """Return what a container received and sent; NaN = it has no network.

    Podman tells of one that has carried nothing where the container uses the
    machine's network, or none.
    """
    received = sum(one["rx_bytes"] for one in interfaces.values())
    sent = sum(one["tx_bytes"] for one in interfaces.values())
    return (received, sent) if received or sent else (NAN, NAN)


def sum_io(rows: list[dict[str, Any]], wanted: str) -> float:
    return float(sum(row["value"] for row in rows if str(row["op"]).lower() == wanted))


def moment_s(text: str) -> float:
    """Return "2026-11-20T08:11:26.123456789Z" as Unix time; NaN = never."""
    with contextlib.suppress(ValueError):
        # Python takes six digits after the point, the engine sends nine.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        if moment.year > 1:
            return moment.timestamp()
    return NAN
