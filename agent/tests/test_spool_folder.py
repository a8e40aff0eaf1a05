"""Whose a spool is, and who may use it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sysmonstm_agent import spool_folder
from sysmonstm_agent.config import load
from sysmonstm_agent.open_spool import folder_of, open_spool
from sysmonstm_agent.spool import SpoolRefused
from sysmonstm_agent.spool_folder import SpoolFolder, default_base, folder_name

from tests.spools import disk_spool
from tests.talking import sample


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_it_is_for_nobody_else(tmp_path: Path) -> None:
    base = tmp_path / "new" / "state"
    before = os.umask(0)
    try:
        spool = disk_spool(base)
        spool.append(sample())
    finally:
        os.umask(before)

    assert (mode(base), mode(base / "web-1")) == (0o700, 0o700)
    files = {path.name: mode(path) for path in (base / "web-1").iterdir()}
    assert files == dict.fromkeys(
        ("lock", "spool.db", "spool.db-shm", "spool.db-wal"), 0o600
    )
    spool.close()


def test_what_was_left_open_is_shut(tmp_path: Path) -> None:
    disk_spool(tmp_path).close()
    (tmp_path / "web-1").chmod(0o755)
    (tmp_path / "web-1" / "spool.db").chmod(0o644)

    disk_spool(tmp_path).close()

    assert mode(tmp_path / "web-1") == 0o700
    assert mode(tmp_path / "web-1" / "spool.db") == 0o600


@pytest.mark.parametrize(
    "name", ["spool.db", "spool.db-wal", "spool.db-shm", "rescue.db", "lock", ""]
)
def test_no_symbolic_link_is_followed(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("untouched")
    place = tmp_path / "state" / "web-1" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(target / "file" if name else target)

    with pytest.raises(SpoolRefused, match="is a symbolic link"):
        disk_spool(tmp_path / "state")

    assert (target / "file").read_text() == "untouched"
    assert len(list(target.iterdir())) == 1


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_spool(tmp_path / "state").close()
    (tmp_path / "state").chmod(0o1777)
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    monkeypatch.setattr(spool_folder, "check_base", lambda base: None)

    with pytest.raises(SpoolRefused, match="belongs to another user"):
        disk_spool(tmp_path / "state")


def test_a_base_that_others_may_write_in_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(SpoolRefused, match="other users may write"):
        disk_spool(tmp_path)

    # As /tmp is: they may not touch what is ours.
    tmp_path.chmod(0o1777)
    disk_spool(tmp_path).close()


def test_two_agents_never_share_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_folder, "LOCK_S", 0.1)
    first = disk_spool(tmp_path)

    with pytest.raises(SpoolRefused) as refused:
        disk_spool(tmp_path)

    assert str(refused.value) == (
        f"another agent (process {os.getpid()}) uses the spool {tmp_path}/web-1; end"
        " it, or give this one another COLLECTOR_MACHINE_ID or COLLECTOR_SPOOL_DIR."
    )
    assert SpoolFolder(tmp_path / "web-1").holder() == os.getpid()
    first.close()
    assert SpoolFolder(tmp_path / "web-1").holder() is None
    disk_spool(tmp_path).close()


def test_each_machine_and_hub_has_its_own() -> None:
    names = {
        folder_name("web-1", "hub:50051"),
        folder_name("web-2", "hub:50051"),
        folder_name("web-1", "hub:50052"),
    }

    assert len(names) == 3
    assert folder_name("web-1", "hub:50051").startswith("web-1-")
    # Whatever a machine is called, it is one folder's name.
    assert "/" not in folder_name("..büro:*" * 20, "hub:1")
    assert not folder_name("..", "hub:1").startswith(".")
    assert len(folder_name("ü" * 128, "hub:1")) < 64


def test_where_it_lies_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "var" / "lib" / "sysmonstm-agent"
    monkeypatch.setattr(spool_folder, "SYSTEM", system)
    home = {"XDG_STATE_HOME": "/home/me/.state"}

    assert default_base({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}) == Path(
        "/var/lib/a"
    )
    assert default_base(home) == Path("/home/me/.state/sysmonstm-agent")
    system.parent.mkdir(parents=True)
    assert default_base(home) == system


@pytest.mark.parametrize("text", ["", "memory", " "])
def test_it_may_be_in_memory(text: str) -> None:
    config = load({"COLLECTOR_SPOOL_DIR": text})

    assert folder_of(config) is None
    assert open_spool(config).degraded


def test_a_chosen_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SpoolRefused, match="cannot be made"):
        open_spool(load({"COLLECTOR_SPOOL_DIR": str(tmp_path / "file" / "x")}))
