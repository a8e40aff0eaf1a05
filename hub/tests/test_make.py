"""The first minute of a newcomer: what `make` says before anything is installed."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub.tests.imports import ROOT

pytestmark = pytest.mark.process

IMPOSSIBLE = "no-such-package==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout whose lock cannot be installed."""
    for name in ("proto", "agent"):
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / name / "pyproject.toml", tmp_path / name)
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "requirements/install.py", tmp_path / "requirements")
    (tmp_path / "requirements/hub.txt").write_text(
        f"setuptools==1.0 \\\n    --hash=sha256:{'0' * 64}\n{IMPOSSIBLE}"
    )
    return tmp_path


def install(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, checkout / "requirements/install.py", "hub"],
        env={"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def make(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", ROOT, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_an_old_python_is_refused_in_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    old.chmod(0o755)

    done = make("python", f"PYTHON={old}")

    assert done.returncode != 0
    assert (
        f"sysmonstm needs Python 3.11 or newer, and {old} is Python 3.9.2. "
        "Name another one: make python PYTHON=/path/to/python3.11" in done.stderr
    )


def test_a_missing_python_is_said_to_be_missing() -> None:
    done = make("python", "PYTHON=/nowhere/python3")

    assert done.returncode != 0
    assert "/nowhere/python3 is not to be found" in done.stderr


def test_every_target_is_listed_with_what_it_does() -> None:
    listed = [line.split()[1] for line in make("help").stdout.splitlines()[1:-1]]

    assert {"up", "test", "lint", "bench", "proto", "lock", "services"} <= set(listed)


def test_what_cannot_be_installed_is_said_and_leaves_no_stamp(checkout: Path) -> None:
    done = install(checkout)

    assert done.returncode == 1
    assert "sysmonstm: setuptools: could not be installed" in done.stderr
    assert "PIP_INDEX_URL" in done.stderr
    assert "No matching distribution found for setuptools==1.0" in done.stderr
    assert list(checkout.glob(".venv/.locked-*")) == []


def test_a_half_made_environment_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(sys.executable)

    done = install(checkout)

    # Not the machine's own, to which the link leads.
    assert "half made: making it anew" in done.stdout
    assert (checkout / ".venv/bin/pip").exists()


def test_a_current_environment_is_left_alone(checkout: Path) -> None:
    script = runpy.run_path(str(checkout / "requirements/install.py"))
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").touch()
    script["_stamp"]("hub").write_text(script["_digest"]("hub"))

    done = install(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    (checkout / "requirements/hub.txt").write_text(IMPOSSIBLE)
    assert install(checkout).returncode != 0
