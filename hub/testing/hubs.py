"""Start a whole hub as a person would, from outside, in real processes."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from hub.env import Env
from hub.testing import compose, prepared, services
from hub.testing.processes import Process, free_port, running

ROOT = compose.ROOT
BIN = Path(sys.executable).parent

# What `make up` and `up` itself promise; a busy machine gets more.
READY_S = 180
END_S = 30

# A test run that is killed leaves no hub behind: the kernel tells its processes.
BOUND = ("setpriv", "--pdeathsig", "TERM", "--")


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without any setting of the hub."""
    ours = {name.upper() for name in Env.model_fields}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("COLLECTOR_")
    }
    return {**kept, "PATH": f"{BIN}:{os.environ.get('PATH', '')}", **more}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running `manage.py up`."""

    process: Process
    link: str
    web: str
    grpc: str


@contextmanager
def embedded(folder: Path, **settings: str) -> Iterator[Embedded]:
    """Run `manage.py up` on free ports; its database is in `folder` and ready."""
    if not ("TIMESCALE_URL" in settings or (folder / prepared.NAME).exists()):
        prepared.database(folder, environment(), ROOT)
    with first_start(folder, **settings) as hub:
        yield hub


@contextmanager
def first_start(folder: Path, **settings: str) -> Iterator[Embedded]:
    """Run it in a folder that may be empty: it makes what is missing."""
    folder.mkdir(exist_ok=True)
    env = environment(
        DATA_DIR=str(folder),
        HTTP_PORT="0",
        GRPC_PORT="0",
        LOG_LEVEL="INFO",
        LOG_FORMAT="json",
    )
    # Not in the checkout's folder: its .env is somebody's own.
    with running(
        *(*BOUND, sys.executable, ROOT / "manage.py", "up"),
        log=folder / "up.log",
        env=env | settings,
        cwd=folder,
    ) as process:
        [link] = process.wait_for_line(r"^Sign in: (\S+)$", within_s=READY_S).groups()
        parts = urlsplit(link)
        port = event(process, "grpc.listening")["port"]
        web = f"{parts.scheme}://{parts.netloc}"
        yield Embedded(process, link, web, f"127.0.0.1:{port}")


@contextmanager
def agent(hub: str, machine_id: str, log: Path, **settings: str) -> Iterator[Process]:
    """Run a real agent that streams to `hub`, a sample a second."""
    env = environment(
        COLLECTOR_AGGREGATOR_URL=hub,
        COLLECTOR_MACHINE_ID=machine_id,
        COLLECTOR_COLLECTION_INTERVAL="1",
        # Not this machine's own agent's, with its credential.
        COLLECTOR_STATE_DIR=str(log.parent / "agent-state"),
        COLLECTOR_SPOOL_DIR=str(log.parent / "agent-spool"),
    )
    command = (*BOUND, BIN / "sysmonstm-agent")
    with running(*command, log=log, env=env | settings) as process:
        yield process


def event(process: Process, name: str) -> dict[str, Any]:
    """Return the newest line of the program's JSON log with that event."""
    for line in reversed(process.output().splitlines()):
        if line.startswith("{") and (found := json.loads(line)).get("event") == name:
            return dict(found)
    raise LookupError(f"{name} is not in the log:\n{process.output()}")


@dataclass(slots=True)
class Production:
    """The services of docker-compose.yml, run here without containers."""

    services: Mapping[str, Any]
    folder: Path
    addresses: Mapping[str, str]
    http_port: int
    grpc_port: int
    processes: dict[str, Process] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """Return what a service is given, its neighbours' names made addresses."""
        given = dict(self.services[name]["environment"])
        for here, there in self.addresses.items():
            given = {key: text.replace(here, there) for key, text in given.items()}
        return environment(**given)

    def way_in(self, port: int = 0) -> dict[str, str]:
        """Return what an agent on this machine is told of the hub."""
        given = self.environment("agent")
        names = ("COLLECTOR_CA_FILE", "COLLECTOR_TOKEN")
        url = f"https://127.0.0.1:{port or self.grpc_port}"
        return {name: given[name] for name in names} | {"COLLECTOR_AGGREGATOR_URL": url}

    @contextmanager
    def run(self, name: str, *command: str) -> Iterator[Process]:
        """Run a service's own command, or another one in its environment."""
        with running(
            *BOUND,
            *(command or self.services[name]["command"]),
            log=self.folder / f"{name}-{secrets.token_hex(2)}.log",
            env=self.environment(name),
            cwd=self.folder,
            within_s=self.grace_s(name),
        ) as process:
            yield process

    def finish(self, name: str, *command: str) -> str:
        """Run such a command to its end; return what it printed."""
        done = subprocess.run(
            command or self.services[name]["command"],
            env=self.environment(name),
            cwd=self.folder,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=READY_S,
        )
        return done.stdout

    def grace_s(self, name: str) -> float:
        return float(self.services[name]["stop_grace_period"].removesuffix("s"))


@contextmanager
def production(folder: Path, *, is_new: bool = True) -> Iterator[Production]:
    """Prepare what docker-compose.yml describes; start nothing of ours yet.

    Unless `is_new`, its database is migrated.
    """
    # An image's /app: the code, and nothing of the checkout beside it.
    for name in ("manage.py", "hub", "deploy", "static", "templates"):
        (folder / name).symlink_to(ROOT / name)
    with ExitStack() as stack:
        start = _empty() if is_new else prepared.postgres(environment(), ROOT)
        database = urlsplit(stack.enter_context(start))
        redis = urlsplit(stack.enter_context(services.redis()))
        http_port, grpc_port = free_port(), free_port()
        variables = {
            "SECRET_KEY": secrets.token_hex(32),
            "AGENT_TOKEN": secrets.token_hex(32),
            "POSTGRES_PASSWORD": database.password or "",
            "REDIS_PASSWORD": redis.password or "",
            "HTTP_PORT": str(http_port),
            "GRPC_PORT": str(grpc_port),
            "COLLECTOR_COLLECTION_INTERVAL": "1",
            "COLLECTOR_MACHINE_ID": "from-compose",
        }
        yield Production(
            services=compose.read(compose.FILE, variables)["services"],
            folder=folder,
            addresses={
                "timescaledb:5432": f"127.0.0.1:{database.port}",
                "redis:6379": f"127.0.0.1:{redis.port}",
                "/var/lib/sysmonstm-agent": str(folder / "spool"),
                "/var/lib/sysmonstm-hub": str(folder / "data"),
            },
            http_port=http_port,
            grpc_port=grpc_port,
        )


@contextmanager
def _empty() -> Iterator[str]:
    with services.postgres() as admin:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {prepared.DATABASE}")
        yield admin
