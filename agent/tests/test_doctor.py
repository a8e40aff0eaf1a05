"""The doctor says what is wrong and what to change, for each thing that can be."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sysmonstm_agent import credential
from sysmonstm_agent.config import load
from sysmonstm_agent.credential import Credential
from sysmonstm_agent.doctor import here
from sysmonstm_agent.open_spool import open_spool

from tests.calling import Call, calling
from tests.certificates import Authority
from tests.peer import Peer, pages, serving
from tests.spools import sample

SECRET = credential.new_secret()
DAY = timedelta(days=1)

# What is found: the level and the sentence of each line.
Found = dict[str, tuple[str, str]]
Look = Callable[..., Found]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    return calling(tmp_path / "state", capsys)


@pytest.fixture(autouse=True)
def _no_service_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "SYSTEM", tmp_path / "none")


@pytest.fixture
def look(call: Call) -> Look:
    def look(**environment: str) -> Found:
        ended = call("doctor", "--json", **environment)
        found = {
            finding["what"]: (finding["level"], finding["text"])
            for finding in json.loads(ended.out)
        }
        assert ended.code == int("FAIL" in {level for level, _ in found.values()})
        return found

    return look


def enrolled(tmp_path: Path, peer: Peer, **other: object) -> Credential:
    """Have this machine enrolled there."""
    made = Credential(
        hub=peer.target,
        tls=peer.authority is not None,
        ca=peer.authority.pem if peer.authority else "",
        machine_id="web-1",
        secret=SECRET,
        made=time.time(),
    )
    peer.secrets = [SECRET]
    made = replace(made, **other)  # type: ignore[arg-type]
    credential.store(tmp_path / "state", made)
    return made


def test_all_is_well(tmp_path: Path, call: Call, authority: Authority) -> None:
    with serving(Peer(authority)) as peer, pages({}) as url:
        enrolled(tmp_path, peer, web=url)
        spool = open_spool(load({"COLLECTOR_STATE_DIR": str(tmp_path / "state")}))
        spool.append(sample(1))
        try:
            ended = call("doctor")
        finally:
            spool.close()

    assert ended.code == 0, ended.out
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        ["ok", what]
        for what in (
            *("settings", "credential", "measures", "agent", "spool", "disk"),
            *("name", "port", "TLS", "hub", "clock", "welcome"),
        )
    ]
    assert "1 samples wait" in ended.out
    # It looked, and no more than that: nothing was rotated, no stream opened.
    assert (peer.rotations, peer.streams) == ([], 0)
    assert SECRET not in ended.out


def test_settings_that_make_no_sense_are_a_line_too(call: Call) -> None:
    ended = call("doctor", COLLECTOR_COLLECTION_INTERVAL="soon")

    assert ended.code == 1
    assert ended.out.startswith("FAIL  settings  COLLECTOR_COLLECTION_INTERVAL must")


def test_a_machine_of_which_nothing_can_be_read(tmp_path: Path, look: Look) -> None:
    (tmp_path / "nothing").mkdir()
    nothing = str(tmp_path / "nothing")

    found = look(COLLECTOR_PROC_ROOT=nothing, COLLECTOR_SYS_ROOT=nothing)

    assert found["measures"] == (
        "FAIL",
        f"nothing is found in {nothing} and {nothing}: COLLECTOR_PROC_ROOT and"
        " COLLECTOR_SYS_ROOT say where they are mounted.",
    )


def test_a_collector_that_fails_and_a_mount_without_an_answer(
    tmp_path: Path, look: Look
) -> None:
    (tmp_path / "self").mkdir()
    mountinfo = "1 1 8:1 / /nonexistent/disk rw - ext4 /dev/sda rw\n"
    (tmp_path / "self" / "mountinfo").write_text(mountinfo)
    hung = look(COLLECTOR_PROC_ROOT=str(tmp_path))["measures"]
    (tmp_path / "meminfo").write_text("nonsense")

    failing = look(COLLECTOR_PROC_ROOT=str(tmp_path))["measures"]

    assert hung[0] == failing[0] == "warn"
    assert hung[1].endswith("of these mounts there is no answer: /nonexistent/disk.")
    assert "what fails is memory (KeyError: 'MemFree')" in failing[1]


def test_a_state_folder_that_may_not_be_written_to(
    tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    # Root may write everywhere.
    monkeypatch.setattr("os.access", lambda path, mode, **how: False)

    level, text = look()["disk"]

    assert level == "FAIL"
    assert text.startswith(f"this user may not write in {tmp_path}/state:")


def test_a_machine_that_is_not_enrolled_is_told_how(look: Look) -> None:
    found = look(COLLECTOR_AGGREGATOR_URL="https://hub.invalid:50051")

    assert found["credential"][0] == "FAIL"
    assert "page Add machine" in found["credential"][1]
    assert found["agent"][0] == "FAIL"
    assert found["name"][0] == "FAIL"
    assert "hub.invalid has no address" in found["name"][1]
    assert "port" not in found


def test_who_asks_without_being_root_is_told_where_the_services_is(
    tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "SYSTEM", tmp_path)

    found = look(COLLECTOR_AGGREGATOR_URL="https://hub.invalid:50051")

    assert found["credential"][0] == "FAIL"
    assert "call the doctor as root" in found["credential"][1]


def test_plain_text_to_another_machine(look: Look) -> None:
    found = look(COLLECTOR_AGGREGATOR_URL="http://192.0.2.1:50051")

    assert found["settings"][0] == "FAIL"
    assert "use https://" in found["settings"][1]
    assert "name" not in found


def test_a_port_where_nobody_listens(look: Look) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        found = look(COLLECTOR_AGGREGATOR_URL=f"127.0.0.1:{port}")

    assert found["port"][0] == "FAIL"
    assert "Is the hub running" in found["port"][1]
    assert "TLS" not in found


@pytest.mark.parametrize(
    ("names", "begins", "ends", "sentence"),
    [
        (["sysmonstm-hub"], -2 * DAY, -DAY, "the hub's certificate has expired"),
        (["sysmonstm-hub"], DAY, 2 * DAY, "of the future: set this machine's clock"),
        (["web.example"], -DAY, DAY, "is not made out to sysmonstm-hub"),
    ],
)
def test_a_certificate_that_is_not_good(
    tmp_path: Path,
    look: Look,
    authority: Authority,
    names: list[str],
    begins: timedelta,
    ends: timedelta,
    sentence: str,
) -> None:
    certificate = authority.server(*names, begins=begins, ends=ends)
    with serving(Peer(authority), certificate) as peer:
        enrolled(tmp_path, peer)
        found = look()

    assert found["TLS"][0] == "FAIL"
    assert sentence in found["TLS"][1]
    # Nothing was said to it.
    assert peer.shown == []


def test_another_authority_than_the_one_it_was_enrolled_at(
    tmp_path: Path, look: Look, authority: Authority
) -> None:
    with serving(Peer(authority)) as peer:
        enrolled(tmp_path, peer, ca=Authority().pem)
        found = look()

    assert found["TLS"][0] == "FAIL"
    assert "or somebody poses as it" in found["TLS"][1]


def test_an_authority_that_nobody_knows(look: Look, authority: Authority) -> None:
    certificate = authority.server("127.0.0.1")
    with serving(Peer(authority), certificate) as peer:
        found = look(COLLECTOR_AGGREGATOR_URL=f"https://{peer.target}")

    assert found["TLS"][0] == "FAIL"
    assert "no public authority vouches for the hub" in found["TLS"][1]


def test_a_certificate_that_ends_soon(
    tmp_path: Path, look: Look, authority: Authority
) -> None:
    certificate = authority.server("sysmonstm-hub", ends=2 * DAY)
    with serving(Peer(authority), certificate) as peer:
        enrolled(tmp_path, peer)
        found = look()

    assert found["TLS"][0] == "warn"
    assert "1 more days: renew it there" in found["TLS"][1]


def test_tls_where_plain_text_is_spoken(tmp_path: Path, look: Look) -> None:
    with pages({}) as url:
        found = look(COLLECTOR_AGGREGATOR_URL=url.replace("http:", "https:"))

    assert found["TLS"][0] == "FAIL"
    assert "speaks plain text" in found["TLS"][1]


def test_what_listens_there_is_no_hub(look: Look) -> None:
    with pages({}) as url:
        found = look(COLLECTOR_AGGREGATOR_URL=url)

    assert found["hub"][0] == "FAIL"
    assert "does not answer as a hub" in found["hub"][1]


def test_a_credential_that_was_revoked(tmp_path: Path, look: Look) -> None:
    with serving(Peer()) as peer:
        enrolled(tmp_path, peer)
        peer.secrets.clear()
        found = look()

    assert found["welcome"][0] == "FAIL"
    assert "Make a new command on the machine's page" in found["welcome"][1]


def test_a_rotation_that_was_interrupted_is_no_trouble(
    tmp_path: Path, look: Look
) -> None:
    with serving(Peer()) as peer:
        enrolled(tmp_path, peer, secret=credential.new_secret(), next=SECRET)
        found = look()

    assert found["credential"][0] == "warn"
    assert found["welcome"][0] == "ok"


@pytest.mark.parametrize("by", ["the hub", "a proxy"])
@pytest.mark.parametrize(
    ("ahead_s", "level", "sentence"),
    [
        (0, "ok", "as the hub's"),
        (60, "warn", "60 s behind the hub's"),
        (-60, "warn", "60 s ahead of the hub's"),
        (-900, "FAIL", "samples are refused"),
    ],
)
def test_the_clock(
    tmp_path: Path,
    look: Look,
    by: str,
    ahead_s: int,
    level: str,
    sentence: str,
) -> None:
    told: dict[str, object] = {"clock_unix_ms": int((time.time() + ahead_s) * 1000)}
    with (
        serving(Peer()) as peer,
        pages(told if by == "the hub" else {}, ahead_s=ahead_s) as url,
    ):
        enrolled(tmp_path, peer, web=url)
        found = look()

    assert found["clock"][0] == level
    assert sentence in found["clock"][1]


def test_a_spool_that_is_nearly_full(tmp_path: Path, look: Look) -> None:
    few = {"COLLECTOR_SPOOL_MAX_SIZE": "8M"}
    state = {"COLLECTOR_STATE_DIR": str(tmp_path / "state")}
    spool = open_spool(load({**few, **state, "COLLECTOR_MACHINE_ID": "web-1"}))
    for number in range(1, 300):
        spool.append(sample(number, size=40_000))
    spool.close()

    found = look(**few)

    assert found["spool"][0] == "warn", found["spool"]
    assert "soon the oldest are lost" in found["spool"][1]
    assert "were dropped" in found["spool"][1]


def test_a_spool_in_memory_is_said(look: Look) -> None:
    assert look(COLLECTOR_SPOOL_DIR="memory")["spool"][0] == "warn"
