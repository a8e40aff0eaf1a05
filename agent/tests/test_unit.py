"""The service may do what the agent does, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from sysmonstm_agent.spool_folder import SYSTEM

UNIT = Path(__file__).parents[2] / "deploy" / "sysmonstm-agent.service"
# Of systemd's own ten: how much is open to a service that was broken into.
EXPOSED_AT_MOST = "25"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("User", "sysmonstm-agent"),
        ("NoNewPrivileges", "true"),
        ("ProtectSystem", "strict"),
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("PrivateDevices", "true"),
        ("MemoryDenyWriteExecute", "true"),
        ("RestrictNamespaces", "true"),
        ("RestrictSUIDSGID", "true"),
        ("UMask", "0077"),
        ("StateDirectoryMode", "0700"),
    ],
)
def test_it_has_no_privilege(name: str, value: str) -> None:
    assert settings()[name] == [value]


def test_it_writes_where_the_agent_keeps_things_and_nowhere_else() -> None:
    found = settings()

    assert [f"/var/lib/{name}" for name in found["StateDirectory"]] == [str(SYSTEM)]
    assert "ReadWritePaths" not in found


def test_it_takes_no_other_program_into_itself() -> None:
    assert settings()["ExecStart"] == ["/opt/sysmonstm/bin/sysmonstm-agent"]
    assert settings()["SystemCallFilter"] == ["@system-service", "~@privileged"]


@pytest.mark.process
def test_systemd_finds_no_fault_with_it(tmp_path: Path) -> None:
    analyse = shutil.which("systemd-analyze")
    if analyse is None:
        # A machine without systemd has nobody to ask; the rest is held above.
        return
    # It looks whether the program is there.
    unit = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/sysmonstm/bin/sysmonstm-agent", "/bin/true")
    unit.write_text(text)

    for words in (
        ("verify", unit),
        ("security", "--offline=true", f"--threshold={EXPOSED_AT_MOST}", unit),
    ):
        ended = subprocess.run(
            (analyse, "--no-pager", *words),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
