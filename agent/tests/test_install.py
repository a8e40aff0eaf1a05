"""The agent on a machine of its own, without the hub's packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sysmonstm_agent import __version__

ROOT = Path(__file__).parents[2]
UV = (sys.executable, "-m", "uv", "--offline", "--quiet", "--no-cache")


def run(*command: str | Path) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=True
    ).stdout


@pytest.mark.process
def test_two_wheels_are_enough(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    for name in ("proto", "agent"):
        # A copy, since building leaves folders beside the sources.
        source = shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.egg-info")
        )
        build = ("build", "--wheel", "--no-build-isolation", "--python", sys.executable)
        run(*UV, *build, "--out-dir", wheels, source)
    venv = tmp_path / "venv"
    run(*UV, "venv", "--python", sys.executable, venv)
    into = ("pip", "install", "--no-deps", "--no-index", "--python", venv)
    run(*UV, *into, *wheels.glob("*.whl"))

    command = venv / "bin" / "sysmonstm-agent"

    assert run(command, "--version") == f"sysmonstm-agent {__version__}\n"
    if sys.platform == "linux":
        # Measuring needs neither grpc nor psutil there; only sending needs grpc.
        assert "system.memory.utilization" in run(command, "--once")
