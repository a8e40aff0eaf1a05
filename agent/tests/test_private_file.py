"""Replaced whole, for one user, and lasting once it is said to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from sysmonstm_agent import private_file

from tests.spools import no_space


def test_it_is_for_its_own_user_alone(tmp_path: Path) -> None:
    place = tmp_path / "kept"
    place.write_text("before")
    place.chmod(0o644)

    private_file.replace(place, b"now")

    assert place.read_bytes() == b"now"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["kept"]


def test_a_link_or_a_rest_where_it_is_written_first_is_taken_away(
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    place = tmp_path / "kept"
    private_file.part_of(place).symlink_to(elsewhere)

    private_file.replace(place, b"ours")

    assert elsewhere.read_text() == "theirs"
    assert place.read_bytes() == b"ours"


def test_content_lasts_before_the_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    place, fsync = tmp_path / "kept", os.fsync

    def watched(descriptor: int) -> None:
        kind = os.fstat(descriptor).st_mode
        seen.append(("folder" if stat.S_ISDIR(kind) else "file", place.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    private_file.replace(place, b"now")

    assert seen == [("file", False), ("folder", True)]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "kept"
    private_file.replace(place, b"before")

    with no_space(), pytest.raises(OSError, match="File too large"):
        private_file.replace(place, b"much more" * 1000)

    assert place.read_bytes() == b"before"
