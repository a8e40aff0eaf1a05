"""Put the services that tests need into `.services/`: `python -m hub.testing.install`.

PostgreSQL with TimescaleDB's Apache edition, Redis, a headless Chromium, stress-ng, an
S3 server and, where there are none, curl and a D-Bus; as root or not, without touching
the machine.
Each is made in a folder of its own name plus `.part` and renamed when whole, so an
interrupted run leaves nothing half done.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from hub.testing import packages, progress
from hub.testing.packages import Apt, environment, libraries
from hub.testing.progress import Broken, say, step

SERVICES = Path(__file__).resolve().parents[2] / ".services"

# Debian 12, 13 and Ubuntu 24.04; TimescaleDB 2.19 takes 14 to 17.
POSTGRESQL = ("postgresql-15", "postgresql-17", "postgresql-16")

TIMESCALEDB = "pool/main/t/timescaledb/timescaledb_2.19.3+dfsg.orig.tar.xz"
TIMESCALEDB_SHA256 = "09fd11191768c220b071f61a108df9bd1df5522fbe4e7c2229f30f69b195454a"
TIMESCALEDB_OPTIONS = (
    "-DAPACHE_ONLY=1",  # what production images without the licence fee run
    "-DREGRESS_CHECKS=OFF",
    "-DTAP_CHECKS=OFF",
    "-DWARNINGS_AS_ERRORS=OFF",
    "-DUSE_OPENSSL=0",  # only its telemetry asks for it
    "-DUSE_TELEMETRY=OFF",
    "-DCMAKE_BUILD_TYPE=Release",
)
# Those that must lie together, whatever the machine already has.
CHROMIUM = ("chromium-headless-shell", "chromium-common")

# Named by PostgreSQL's own headers; nothing is linked against them.
HEADERS = ("libkrb5-dev", "krb5-multidev", "comerr-dev", "libssl-dev")


def main() -> int:
    started = time.monotonic()
    try:
        with _alone():
            made = [name for name, make in RECIPES.items() if _ensure(name, make)]
    except Broken as broken:
        sys.stderr.write(f"make services: {broken}\n")
        return 1
    if made:
        say(f"services ready in .services/: {time.monotonic() - started:.0f} s")
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    SERVICES.mkdir(exist_ok=True)
    with (SERVICES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure(name: str, make: Callable[[Path], None]) -> bool:
    whole, part = SERVICES / name, SERVICES / f"{name}.part"
    stamp = whole / "recipe"
    if stamp.is_file() and stamp.read_text() == _recipe():
        return False
    for old in (part, whole):
        shutil.rmtree(old, ignore_errors=True)
    part.mkdir()
    make(part)
    (part / "recipe").write_text(_recipe())
    part.rename(whole)
    return True


def _recipe() -> str:
    sources = [Path(str(module.__file__)) for module in (packages, progress)]
    sources.append(Path(__file__))
    return sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _apt() -> Apt:
    apt = Apt(SERVICES / "apt")
    fresh = SERVICES / "apt" / "updated"
    if not fresh.is_file() or time.time() - fresh.stat().st_mtime > 3600:
        apt.update()
        fresh.touch()
    return apt


def _postgresql(tree: Path) -> None:
    apt = _apt()
    server = apt.first_known(POSTGRESQL)
    major = server.removeprefix("postgresql-")
    apt.unpack("postgresql", [server, f"postgresql-client-{major}"], tree)
    build = tree / "build"
    apt.unpack_alone(
        "postgresql headers", [f"postgresql-server-dev-{major}", "libpq-dev"], tree
    )
    apt.unpack_alone("postgresql headers", HEADERS, build)
    tools = [tool for tool in ("cmake", "ninja-build") if not _have(tool)]
    if tools:
        apt.unpack("build tools", tools, build)
    _timescaledb(apt, tree, build, major)
    for unneeded in (build, tree / "usr/include", tree / "usr/share/doc"):
        shutil.rmtree(unneeded, ignore_errors=True)


def _have(tool: str) -> bool:
    return shutil.which(tool.removesuffix("-build")) is not None


def _timescaledb(apt: Apt, tree: Path, build: Path, major: str) -> None:
    if shutil.which("cc") is None:
        raise Broken(
            "TimescaleDB is compiled here, and there is no C compiler: "
            "install gcc and libc6-dev (Debian: apt-get install build-essential)."
        )
    archive = build / "timescaledb.tar.xz"
    apt.pooled(TIMESCALEDB, TIMESCALEDB_SHA256, archive)
    source = build / "source"
    with tarfile.open(archive) as packed:
        # Debian 12's Python is older than the `filter` argument.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(source)
    [top] = source.iterdir()
    include = build / "usr/include"
    headers = [include, include / "mit-krb5", *include.glob("*-linux-gnu")]
    env = environment(build)
    env["PATH"] = f"{build}/usr/bin:{env['PATH']}"
    env["CPATH"] = ":".join(map(str, headers))
    pg_config = tree / f"usr/lib/postgresql/{major}/bin/pg_config"
    out = build / "out"
    step(
        "timescaledb: configuring",
        *("cmake", "-G", "Ninja", "-S", top, "-B", out, f"-DPG_CONFIG={pg_config}"),
        *TIMESCALEDB_OPTIONS,
        env=env,
    )
    step("timescaledb: compiling", "ninja", "-C", out, "install", env=env)


def _redis(tree: Path) -> None:
    _apt().unpack("redis", ["redis-server", "redis-tools"], tree)


def _chromium(tree: Path) -> None:
    _apt().unpack("chromium", CHROMIUM, tree)
    launcher = tree / "chromium"
    # Found from where the launcher lies, because the folder is renamed when whole.
    path = ":".join(f"$here/{folder.relative_to(tree)}" for folder in libraries(tree))
    launcher.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$(readlink -f "$0")")\n'
        f'export LD_LIBRARY_PATH="{path}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"\n'
        # A machine without fonts draws with those that came along.
        '[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE="$here/fonts.conf"\n'
        'exec "$here/usr/lib/chromium/chromium-headless-shell" "$@"\n'
    )
    (tree / "fonts.conf").write_text(
        '<fontconfig><dir prefix="relative">usr/share/fonts</dir>'
        '<cachedir prefix="xdg">fontconfig</cachedir></fontconfig>\n'
    )
    launcher.chmod(0o755)


def _stress(tree: Path) -> None:
    _apt().unpack("stress-ng", ["stress-ng"], tree)


def _curl(tree: Path) -> None:
    """What the command to add a machine begins with; every machine of ours has it."""
    _program("curl", "curl", tree)


def _s3(tree: Path) -> None:
    """An S3 server in Python, with all that it needs, apart from the hub's own."""
    step(
        "s3 server: installing",
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--require-hashes", "--target", tree),
        *("-r", SERVICES.parent / "requirements" / "s3.txt"),
    )


def _dbus(tree: Path) -> None:
    """What a machine with systemd has running; one is started to be asked."""
    _program("dbus-daemon", "dbus-daemon", tree)


def _program(name: str, package: str, tree: Path) -> None:
    """Put a small program into a folder: the machine's own, or a package's."""
    there = shutil.which(name)
    if there:
        (tree / name).symlink_to(there)
        return
    _apt().unpack(name, [package], tree)
    path = ":".join(f"$here/{folder.relative_to(tree)}" for folder in libraries(tree))
    launcher = tree / name
    launcher.write_text(
        '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
        f'LD_LIBRARY_PATH="{path}" exec "$here/usr/bin/{name}" "$@"\n'
    )
    launcher.chmod(0o755)


RECIPES: dict[str, Callable[[Path], None]] = {
    "postgresql": _postgresql,
    "redis": _redis,
    "chromium": _chromium,
    "stress-ng": _stress,
    "curl": _curl,
    "dbus": _dbus,
    "s3": _s3,
}

if __name__ == "__main__":
    os.umask(0o022)  # root's services run as another user, who must read them
    sys.exit(main())
