"""What the machine proves itself with: kept for one user, whole, never followed."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from sysmonstm_agent import credential
from sysmonstm_agent.config import BadConfig, load
from sysmonstm_agent.credential import Credential, CredentialRefused

from tests.spools import no_space

KEPT = Credential(
    hub="hub.example:50051",
    tls=True,
    ca="-----BEGIN CERTIFICATE-----\n",
    machine_id="büro-1",
    # The same in every process: it stands in the names of tests.
    secret="sma_" + "k" * 43,
    made=1.5,
)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    assert credential.load(tmp_path) is None

    credential.store(tmp_path, KEPT)

    assert credential.load(tmp_path) == KEPT


def test_a_secret_is_long_and_never_the_same() -> None:
    made = {credential.new_secret() for _ in range(100)}

    assert len(made) == 100
    assert all(credential.SECRET.fullmatch(secret) for secret in made)


def test_a_symbolic_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps({"hub": "evil.example:1"}))
    folder = tmp_path / "state"
    folder.mkdir()
    place = folder / credential.FILE
    place.symlink_to(elsewhere)

    with pytest.raises(CredentialRefused, match="symbolic link"):
        credential.load(folder)
    (folder / f"{credential.FILE}.part").symlink_to(elsewhere)
    credential.store(folder, KEPT)

    assert "evil" in elsewhere.read_text()
    assert not place.is_symlink()
    assert credential.load(folder) == KEPT


def test_a_pipe_in_its_place_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / credential.FILE)

    with pytest.raises(CredentialRefused, match="must be a file"):
        credential.load(tmp_path)


def test_others_are_shut_out_again(tmp_path: Path) -> None:
    credential.store(tmp_path, KEPT)
    place = tmp_path / credential.FILE
    place.chmod(0o644)

    credential.load(tmp_path)

    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_a_folder_that_others_may_write_in_gets_no_secret(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(CredentialRefused, match="other users may write"):
        credential.store(tmp_path, KEPT)

    assert list(tmp_path.iterdir()) == []


def test_root_keeps_it_for_the_user_of_the_folder(tmp_path: Path) -> None:
    # Nobody but root can give files away.
    owner = 4711 if os.geteuid() == 0 else os.geteuid()
    os.chown(tmp_path, owner, -1)

    credential.store(tmp_path, KEPT)

    assert (tmp_path / credential.FILE).stat().st_uid == owner
    assert credential.load(tmp_path) == KEPT


def test_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    credential.store(tmp_path, KEPT)

    with no_space(), pytest.raises(OSError, match="File too large"):
        credential.store(tmp_path, Credential("other:1", True, "b", KEPT.secret))

    assert credential.load(tmp_path) == KEPT


WHOLE = {"hub": "hub:1", "tls": True, "machine_id": "a", "secret": KEPT.secret}


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]"),
        *(json.dumps({k: v for k, v in WHOLE.items() if k != gone}) for gone in WHOLE),
        json.dumps({**WHOLE, "secret": "short"}),
        json.dumps({**WHOLE, "next": "short"}),
        json.dumps({**WHOLE, "tls": "no"}),
        json.dumps({**WHOLE, "machine_id": 1}),
    ],
)
def test_what_is_not_whole_is_not_used(tmp_path: Path, content: str) -> None:
    (tmp_path / credential.FILE).write_text(content)

    with pytest.raises(BadConfig, match="remove it, and enrol this machine again"):
        load({"COLLECTOR_STATE_DIR": str(tmp_path)})


def test_what_is_not_known_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / credential.FILE).write_text(json.dumps({**WHOLE, "later": 1}))

    assert credential.load(tmp_path) == Credential(**WHOLE)  # type: ignore[arg-type]


def kept_in(folder: Path, **environment: str) -> dict[str, str]:
    credential.store(folder, KEPT)
    return {"COLLECTOR_STATE_DIR": str(folder), **environment}


def test_what_a_person_says_wins(tmp_path: Path) -> None:
    config = load(
        kept_in(tmp_path, COLLECTOR_MACHINE_ID="web-7", COLLECTOR_TOKEN="smt_abc")
    )

    assert (config.machine_id, config.token) == ("web-7", "smt_abc")
    assert config.credential is None
    # Where the hub is, and who it is, was not said anew.
    assert (config.target, config.tls, config.ca) == (KEPT.hub, True, KEPT.ca)


@pytest.mark.parametrize(
    ("url", "tls", "ours"),
    [
        ("hub.example:50051", True, True),
        ("https://hub.example:50051", True, True),
        # The hub has moved, and proves to be the same.
        ("https://moved.example:50051", True, True),
        ("moved.example:50051", True, True),
        # Nothing proves that this one is.
        ("http://moved.example:50051", False, False),
        ("localhost:50051", False, False),
    ],
)
def test_the_secret_goes_to_no_other_hub(
    tmp_path: Path, url: str, tls: bool, ours: bool
) -> None:
    config = load(kept_in(tmp_path, COLLECTOR_AGGREGATOR_URL=url))

    assert config.tls is tls
    assert (config.credential is not None) is ours
