"""Make `.venv` hold what a lock file says: `python requirements/install.py hub`.

Run by the machine's own Python, with nothing but its standard library. Says what
it is doing, does nothing when the stamp of an earlier run still fits, and writes
that stamp last, so that an interrupted run is simply done again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

# Our own two distributions, installed in place.
OURS = ("proto", "agent")

# A lock and the smaller ones that it holds whole.
INCLUDES = {"dev": ("dev", "hub"), "hub": ("hub",)}

TICK_S = 3.0
"""Longest silence: a person doubts after about this long."""

LAST_LINES = 30

# A half-made environment may answer with the machine's own Python: nothing may be
# installed into that one.
IS_OURS = """
import pip, sys
sys.exit(sys.prefix == sys.base_prefix or sys.version_info < (3, 11))
"""

PIP = (str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input")
INSTALL = (*PIP, "install", "--progress-bar=off", "--no-build-isolation")


def main() -> int:
    which = sys.argv[1]
    if all(_stamp(name).is_file() and _fits(name) for name in INCLUDES[which]):
        return 0
    started = time.monotonic()
    lock = (HERE / f"{which}.txt").read_text()
    stanzas = re.findall(r"^\S[^\n]*==(?:[^\n]*\\\n)*[^\n]*\n", lock, re.MULTILINE)
    _say(
        f"installing {len(stanzas)} packages into .venv, from requirements/{which}.txt"
    )
    _make_venv()
    # Packages that come as source are built with the locked setuptools, not with
    # whichever is newest today.
    _pip_locked([stanza for stanza in stanzas if stanza.startswith("setuptools==")])
    _pip_locked(stanzas)
    places = [arg for name in OURS for arg in ("--editable", str(ROOT / name))]
    _run("sysmonstm's own packages", *INSTALL, "--no-deps", *places)
    for name in INCLUDES[which]:
        _stamp(name).write_text(_digest(name))
    _say(f"installed in {time.monotonic() - started:.0f} s")
    return 0


def _stamp(which: str) -> Path:
    return VENV / f".locked-{which}"


def _fits(which: str) -> bool:
    return PYTHON.exists() and _stamp(which).read_text() == _digest(which)


def _digest(which: str) -> str:
    parts = [HERE / f"{which}.txt", *(ROOT / name / "pyproject.toml" for name in OURS)]
    content = b"\0".join(part.read_bytes() for part in parts)
    # A checkout that was moved has scripts that name the old place.
    return hashlib.sha256(content + str(ROOT).encode()).hexdigest()


def _make_venv() -> None:
    if PYTHON.exists() and _answers(str(PYTHON), "-c", IS_OURS):
        return
    if VENV.exists():
        _say("the environment is broken or half made: making it anew")
        shutil.rmtree(VENV)
    if not _answers(sys.executable, "-c", "import ensurepip, venv"):
        raise SystemExit(
            f"sysmonstm: {sys.executable} cannot make virtual environments: install "
            "its venv module (Debian: apt-get install python3-venv) and try again."
        )
    _run("virtual environment", sys.executable, "-m", "venv", str(VENV))


def _answers(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _pip_locked(stanzas: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write("".join(stanzas))
        lock.flush()
        what = "packages" if len(stanzas) > 1 else stanzas[0].partition("=")[0]
        argv = (*INSTALL, "--require-hashes", "-r", lock.name)
        _run(what, *argv, expected=len(stanzas))


def _run(what: str, *argv: str, expected: int = 0) -> None:
    """Run a program, say every few seconds how far it is, show its end if it fails."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        program = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while _still_running(program):
                progress = _progress(_lines(output), expected)
                _say(f"  {what}: {progress} {time.monotonic() - started:.0f} s")
        finally:
            program.kill()
            program.wait()
        if program.returncode != 0:
            sys.stderr.write("".join(_lines(output)[-LAST_LINES:]))
            raise SystemExit(
                f"sysmonstm: {what}: could not be installed (see above). This takes a "
                "package index, once: PIP_INDEX_URL names another, HTTPS_PROXY the way "
                "there. Then run it again."
            )
    _say(f"  {what}: done in {time.monotonic() - started:.1f} s")


def _still_running(program: subprocess.Popen[bytes]) -> bool:
    try:
        program.wait(TICK_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _lines(output: IO[str]) -> list[str]:
    # The program appends through the same open file: leave its place at the end.
    content = os.pread(output.fileno(), os.fstat(output.fileno()).st_size, 0)
    return content.decode(errors="replace").splitlines(keepends=True)


def _progress(lines: list[str], expected: int) -> str:
    if any(line.startswith("Installing collected") for line in lines):
        return "fetched all, unpacking …"
    seen = re.findall(
        r"^(?:Collecting|Requirement already satisfied:) ([\w.-]+)",
        "".join(lines),
        re.MULTILINE,
    )
    return f"{len(seen)} of {expected} ({seen[-1]}) …" if seen and expected else "…"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nsysmonstm: interrupted; the next start goes on from here.")
