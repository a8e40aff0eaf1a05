"""The wheels that the hub makes: the same each time, and as good as setuptools'."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from packaging.requirements import Requirement
from pytest_django import Settings

from hub.web.install import repack, requirements, stock, wheel

ROOT = Path(__file__).parents[3]


@pytest.fixture
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def names(content: bytes | Path) -> set[str]:
    source = BytesIO(content) if isinstance(content, bytes) else content
    with zipfile.ZipFile(source) as archive:
        # pip knows a package by its METADATA; this is setuptools' own habit.
        return {name for name in archive.namelist() if "top_level.txt" not in name}


def said(content: bytes | Path, name: str) -> list[tuple[str, str]]:
    source = BytesIO(content) if isinstance(content, bytes) else content
    with zipfile.ZipFile(source) as archive:
        [path] = [path for path in archive.namelist() if path.endswith(name)]
        return sorted(
            # Both orders of ">=1,<2" mean the same.
            (key, str(Requirement(text)) if key == "Requires-Dist" else text)
            for key, text in email.message_from_bytes(archive.read(path)).items()
        )


@pytest.mark.parametrize("project", stock.OURS)
def test_the_same_sources_give_the_same_bytes(project: str, tmp_path: Path) -> None:
    copy = shutil.copytree(ROOT / project, tmp_path / project)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))

    assert wheel.build(copy) == wheel.build(ROOT / project)


@pytest.mark.process
@pytest.mark.parametrize("project", stock.OURS)
def test_it_holds_what_setuptools_would_put_in(project: str, tmp_path: Path) -> None:
    source = shutil.copytree(
        ROOT / project,
        tmp_path / project,
        ignore=shutil.ignore_patterns("*.egg-info", "build", "tests"),
    )
    uv = (sys.executable, "-m", "uv", "--offline", "--quiet", "--no-cache")
    subprocess.run(
        [*uv, "build", "--wheel", "--no-build-isolation", "-o", tmp_path, source],
        check=True,
        timeout=300,
    )
    [theirs] = tmp_path.glob("*.whl")

    made = wheel.build(ROOT / project)

    assert made.filename == theirs.name
    assert names(made.content) == names(theirs)
    assert said(made.content, "METADATA") == said(theirs, "METADATA")


def test_a_bundle_of_what_is_installed_is_whole_and_pinned(data_dir: Path) -> None:
    assert not requirements.is_bundled()

    call_command("agentbundle", "--installed", stdout=StringIO())

    assert requirements.is_bundled()
    pinned = requirements.dependencies()
    bundled = stock.bundle()
    assert {one.requirement for one in bundled} == set(requirements.wanted())
    assert all(one.sha256 in pinned for one in bundled)


def test_a_bundle_without_one_part_is_none(data_dir: Path) -> None:
    (data_dir / "bundle").mkdir()
    made = repack.repack(metadata.distribution("typing-extensions"))
    (data_dir / "bundle" / made.filename).write_bytes(made.content)
    # What is no wheel is not handed out.
    (data_dir / "bundle" / "secret.txt").write_text("x")

    assert [one.path.name for one in stock.bundle()] == [made.filename]
    assert not requirements.is_bundled()


def test_a_repacked_wheel_leaves_out_what_an_installation_added() -> None:
    made = repack.repack(metadata.distribution("psutil"))

    found = names(made.content)
    assert not any(name.endswith(".pyc") or ".." in name for name in found)
    assert not any(name.endswith(("INSTALLER", "direct_url.json")) for name in found)
    assert made.filename.startswith("psutil-")


def test_an_unknown_platform_is_refused(data_dir: Path) -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("agentbundle", "--platform", "beos-m68k")


def test_every_line_of_the_lock_file_is_understood() -> None:
    lock = (ROOT / "requirements" / "agent.txt").read_text()
    pins = [line.split(" ")[0] for line in lock.splitlines() if "==" in line[:60]]

    assert len(requirements.wanted()) == len([pin for pin in pins if "==" in pin])
    assert lock.count("--hash=") == requirements.dependencies().count("--hash=")
