"""A private PostgreSQL or Redis, for as long as a `with` block lasts.

Each server has a temporary folder and a free loopback port of its own, is told by
the kernel when its starter dies, and is stopped by its process id.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hub.testing.install import SERVICES
from hub.testing.packages import environment
from hub.testing.processes import NotReady, Process, free_port, running

START_S = 120
STOP_S = 60

# PostgreSQL refuses to run as root.
ORDINARY_USER = "nobody"

# A free port may be taken by somebody else before the server has it.
TRIES = 3


class Missing(Exception):
    """The services are not installed."""


@contextmanager
def postgres(
    *, durable: bool = False, like: Path | None = None, keep: Path | None = None
) -> Iterator[str]:
    """Run PostgreSQL with TimescaleDB; yield the URL of an empty database.

    `durable` keeps fsync on, for tests and benches about what a crash leaves. What it
    holds in the end can be put into the folder `keep`, and be what another one begins
    with: `like` that folder, password included.
    """
    with _folder("postgresql") as (folder, tree):
        [binaries] = tree.glob("usr/lib/postgresql/*/bin")
        data = folder / "data"
        env = {**environment(tree), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        if like is None:
            _begin(folder, binaries, env)
        else:
            _finish("cp", "-a", f"{like}/data", f"{like}/password", str(folder))
            _give_away(folder)
        password = (folder / "password").read_text()
        program = [*_ordinary(), str(binaries / "postgres"), "-D", str(data)]
        for attempt in range(TRIES):
            port = free_port()
            argv = [*program, *_postgres_settings(folder, port, durable=durable)]
            log = folder / f"server.{attempt}.log"
            with running(*argv, log=log, env=env, within_s=STOP_S) as server:
                try:
                    server.wait_for_line("ready to accept conn", within_s=START_S)
                except NotReady:
                    if "could not bind" in server.output() and attempt + 1 < TRIES:
                        continue
                    raise
                yield f"postgresql://sysmonstm:{password}@127.0.0.1:{port}/postgres"
                # Fast shutdown: SIGTERM would wait for every client to leave.
                server.stop(within_s=STOP_S, by=signal.SIGINT)
            if keep is not None:
                _finish("cp", "-a", str(data), f"{folder}/password", str(keep))
            return


def _begin(folder: Path, binaries: Path, env: Mapping[str, str]) -> None:
    (folder / "password").write_text(secrets.token_hex(16))
    _give_away(folder)
    initdb = [*_ordinary(), str(binaries / "initdb"), "-D", str(folder / "data")]
    options = ["-U", "sysmonstm", "-E", "UTF8", "--auth=scram-sha-256", "--no-sync"]
    _finish(*initdb, *options, f"--pwfile={folder}/password", env=env)


def _postgres_settings(folder: Path, port: int, *, durable: bool) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        "shared_preload_libraries": "timescaledb",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "log_min_messages": "warning",
        "lc_messages": "C",
    }
    if not durable:
        settings |= {
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
    return [f"--{name}={value}" for name, value in settings.items()]


@contextmanager
def redis() -> Iterator[str]:
    """Run Redis without persistence; yield its URL, which has its password."""
    with _folder("redis") as (folder, tree):
        password = secrets.token_hex(16)
        for attempt in range(TRIES):
            port = free_port()
            options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
            limits = ["--save", "", "--appendonly", "no", "--databases", "64"]
            limits += ["--requirepass", password]
            # Its command line stays readable, for `unruly` to start it again.
            limits += ["--set-proc-title", "no"]
            program = [*_bound_to_us(), str(tree / "usr/bin/redis-server")]
            log, env = folder / f"server.{attempt}.log", environment(tree)
            argv = [*program, *options, *limits]
            with running(*argv, log=log, env=env, within_s=STOP_S) as server:
                try:
                    server.wait_for_line("Ready to accept conn", within_s=START_S)
                except NotReady:
                    if "in use" in server.output() and attempt + 1 < TRIES:
                        continue
                    raise
                yield f"redis://:{password}@127.0.0.1:{port}/0"
                return


def chromium_path() -> str:
    """Return the headless Chromium that Playwright's `executable_path` takes."""
    return str(_tree("chromium") / "chromium")


def curl_folder() -> str:
    """Return the folder of a curl, for a PATH."""
    return str(_tree("curl"))


@contextmanager
def stress(folder: Path, *stressors: str) -> Iterator[Process]:
    """Keep the machine busy by stress-ng, such as `--cpu 2`."""
    tree = _tree("stress-ng")
    program = [*_bound_to_us(), str(tree / "usr/bin/stress-ng"), *stressors]
    log = folder / "stress-ng.log"
    with running(*program, log=log, env=environment(tree), cwd=folder) as process:
        yield process


def _tree(name: str) -> Path:
    tree = SERVICES / name
    if not (tree / "recipe").is_file():
        raise Missing(f"{name} is not in {SERVICES}: run `make services` first.")
    return tree


@contextmanager
def _folder(name: str) -> Iterator[tuple[Path, Path]]:
    """Make a temporary folder; yield it with the service's programs."""
    tree = _tree(name)
    # Short and in /tmp: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir="/tmp") as made:
        folder = Path(made)
        if os.geteuid() == 0 and not _open_to_all(tree):
            shutil.copytree(tree, folder / "programs", symlinks=True)
            tree = folder / "programs"
        yield folder, tree


def _open_to_all(path: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def _give_away(folder: Path) -> None:
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam(ORDINARY_USER)
    for path in (folder, folder / "password"):
        os.chown(path, user.pw_uid, user.pw_gid)


def _bound_to_us() -> list[str]:
    """The kernel stops the server when this process dies, however it dies."""
    return ["setpriv", "--pdeathsig", "INT", "--"]


def _ordinary() -> list[str]:
    if os.geteuid() != 0:
        return _bound_to_us()
    user = pwd.getpwnam(ORDINARY_USER)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--pdeathsig", "INT", "--"]


def _finish(*argv: str, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        argv, env=env, capture_output=True, text=True, check=False, timeout=START_S
    )
    if done.returncode != 0:
        raise NotReady(f"{shlex.join(argv)} failed:\n{done.stdout}{done.stderr}")
