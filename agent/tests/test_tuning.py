"""What the hub has settled, the owner's word, and the file that outlives a restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sysmonstm_agent.config import load
from sysmonstm_agent.settings import Settings
from sysmonstm_agent.settings_file import SettingsFile
from sysmonstm_agent.tuning import Tuning
from sysmonstm_proto import metrics_pb2 as pb

from tests.spools import no_space

WISH = pb.AgentConfig(version=5, interval_ms=30_000, labels={"site": "Wien"})


def tuning(
    folder: Path | None = None,
    known: tuple[str, ...] = ("cpu", "load"),
    **variables: str,
) -> Tuning:
    file = SettingsFile(folder) if folder else None
    return Tuning(load({"COLLECTOR_SPOOL_DIR": "memory", **variables}), known, file)


def test_without_a_hub_the_agent_is_as_its_owner_set_it() -> None:
    found = tuning(COLLECTOR_COLLECTION_INTERVAL="7")

    assert found.interval_s == 7
    assert found.now == Settings()


def test_a_change_is_told_with_what_was_before_and_once() -> None:
    found = tuning()
    told: list[tuple[Settings, Settings]] = []
    found.on_change(lambda before, now: told.append((before, now)))

    found.take(WISH)
    found.take(WISH)
    found.take(pb.AgentConfig(version=6, interval_ms=30_000, labels={"site": "Wien"}))

    assert [(before.interval_s, now.interval_s) for before, now in told] == [(None, 30)]
    assert found.now.version == 6


def test_the_owners_own_interval_is_no_disagreement() -> None:
    found = tuning(COLLECTOR_COLLECTION_INTERVAL="30")

    assert found.take(WISH) == []
    assert found.interval_s == 30


def test_an_empty_variable_is_no_word_of_the_owner() -> None:
    found = tuning(COLLECTOR_COLLECTION_INTERVAL="")

    assert found.take(WISH) == []
    assert found.interval_s == 30


@pytest.mark.parametrize(
    ("owners", "hides", "arguments", "refused"),
    [
        ("", True, "none", 0),
        ("", False, "masked", 0),
        ("full", False, "full", 0),
        ("full", True, "full", 1),
        # The hub cannot have shown what the owner hides.
        ("none", False, "none", 0),
        ("none", True, "none", 0),
    ],
)
def test_command_lines(owners: str, hides: bool, arguments: str, refused: int) -> None:
    found = tuning(COLLECTOR_PROCESS_ARGUMENTS=owners)
    ring = pb.ProcessRing(hide_arguments=hides)

    assert len(found.take(pb.AgentConfig(processes=ring))) == refused
    assert found.arguments == arguments


def test_it_begins_with_what_was_kept(tmp_path: Path) -> None:
    first = tuning(tmp_path)
    first.take(WISH)
    first.keep(WISH)

    again = tuning(tmp_path)

    assert again.now == first.now
    assert again.now.version == 5
    assert (tmp_path / "settings").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["settings"]


def test_what_was_kept_is_read_with_the_same_care(tmp_path: Path) -> None:
    """By an agent that has fewer collectors, and whose owner has decided since."""
    wish = pb.AgentConfig(interval_ms=30_000, collectors={"cpu": False, "flux": False})
    tuning(tmp_path, known=("cpu", "load", "flux")).keep(wish)

    again = tuning(tmp_path, COLLECTOR_COLLECTION_INTERVAL="9")

    assert again.interval_s == 9
    assert again.now.collectors == {"cpu": False}


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x08", os.urandom(4096)])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings").write_bytes(content)

    found = tuning(tmp_path)

    assert found.interval_s == 5
    found.keep(WISH)
    assert tuning(tmp_path).interval_s == 30


def test_a_symbolic_link_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(WISH.SerializeToString())
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "settings").symlink_to(elsewhere)
    (folder / "settings.part").symlink_to(elsewhere)

    found = tuning(folder)

    assert found.interval_s == 5
    assert "settings.unreadable" in [record.message for record in caplog.records]
    found.keep(pb.AgentConfig(version=6))
    # Put in the place of the link, and not behind it.
    assert elsewhere.read_bytes() == WISH.SerializeToString()
    assert not (folder / "settings").is_symlink()


def test_a_pipe_in_its_place_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "settings")

    assert tuning(tmp_path).interval_s == 5


def test_a_full_disk_leaves_what_was_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = tuning(tmp_path)
    found.keep(WISH)

    with no_space():
        found.keep(pb.AgentConfig(version=6, labels={"a": "b" * 100}))

    assert "settings.not_kept" in [record.message for record in caplog.records]
    assert tuning(tmp_path).now.version == 5
