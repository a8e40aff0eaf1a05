"""A token becomes this machine's own credential, once, at the hub that was meant."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sysmonstm_agent import credential
from sysmonstm_agent.config import load

from tests.calling import Call, calling
from tests.certificates import Authority
from tests.peer import TOKEN, Peer, pages, serving


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    return calling(tmp_path / "state", capsys)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def kept(tmp_path: Path) -> credential.Credential:
    found = credential.load(tmp_path / "state")
    assert found
    return found


def test_a_token_and_a_fingerprint_are_enough(
    tmp_path: Path, call: Call, authority: Authority
) -> None:
    with serving(Peer(authority)) as peer, pages(peer.document()) as url:
        peer.names = "web-1-2"
        ended = call(
            "enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint
        )

    found = kept(tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Enrolled at {peer.target} as web-1-2.\n")
    assert "start the agent" in ended.out
    assert (found.hub, found.tls, found.machine_id) == (peer.target, True, "web-1-2")
    assert (found.ca, found.web, found.next) == (authority.pem, url, "")
    assert peer.secrets == [found.secret]
    assert re.fullmatch(r"sma_[\w-]{43}", found.secret)
    # With it the agent needs no variable at all.
    config = load({"COLLECTOR_STATE_DIR": str(tmp_path / "state")})
    assert (config.target, config.tls, config.machine_id) == (*found_at(found),)
    assert found.secret not in ended.out + repr(config)


def found_at(found: credential.Credential) -> tuple[str, bool, str]:
    return found.hub, found.tls, found.machine_id


def test_what_is_kept_is_nobody_elses(
    tmp_path: Path, call: Call, authority: Authority
) -> None:
    before = os.umask(0)
    try:
        with serving(Peer(authority)) as peer, pages(peer.document()) as url:
            call("enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint)
    finally:
        os.umask(before)

    folder = tmp_path / "state"
    assert [path.name for path in folder.iterdir()] == ["credential.json"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "credential.json").stat().st_mode) == 0o600


def test_a_lost_answer_is_asked_for_again_with_the_same_secret(
    tmp_path: Path, call: Call, authority: Authority
) -> None:
    with serving(Peer(authority)) as peer, pages(peer.document()) as url:
        words = ("enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint)
        peer.losing = 1
        lost = call(*words)
        again = call(*words)
        once_more = call(*words)

    assert lost.code == 1
    assert "Run the same command again" in lost.err
    assert [again.code, once_more.code] == [0, 0]
    assert "already" in once_more.out
    # Two questions, one agent.
    assert len(peer.enrolments) == 2
    assert {request.secret for request in peer.enrolments} == {kept(tmp_path).secret}


def test_another_hub_is_sent_nothing(call: Call, authority: Authority) -> None:
    other = Authority()
    with serving(Peer(other)) as peer, pages(peer.document()) as url:
        ended = call(
            "enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint
        )

    assert ended.code == 1
    assert "this is not the hub that was meant" in ended.err
    assert peer.enrolments == []


def test_a_hub_that_shows_the_right_authority_and_is_not_it_is_sent_nothing(
    call: Call, authority: Authority
) -> None:
    # Whoever is between can show the hub's own authority, but not prove to be it.
    certificate = Authority().server("sysmonstm-hub")
    with (
        serving(Peer(authority), certificate) as peer,
        pages(peer.document()) as url,
    ):
        ended = call(
            "enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint
        )

    assert ended.code == 1
    assert peer.enrolments == []


def test_only_what_was_compared_is_trusted(call: Call, authority: Authority) -> None:
    beside = authority.pem + Authority().pem
    with serving(Peer(authority)) as peer, pages(peer.document(ca=beside)) as url:
        ended = call(
            "enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint
        )

    assert ended.code == 1
    assert "is not one certificate" in ended.err
    assert peer.enrolments == []


@pytest.mark.parametrize(
    ("other", "arguments", "sentence"),
    [
        ({}, (), "give --fingerprint sha256:… as well"),
        ({}, ("--fingerprint", "sha256:12"), "must be sha256: and 64 hexadecimal"),
        (
            {"tls": False},
            ("--fingerprint", "sha256:" + "0" * 64),
            "and this hub speaks plain text",
        ),
        (
            {"ca": ""},
            ("--fingerprint", "sha256:" + "0" * 64),
            "shows no authority of its own",
        ),
        (
            {"tls": False, "grpc": "hub.example:50051", "ca": ""},
            (),
            "say --plaintext if nobody is between",
        ),
        ({"grpc": "hub.example"}, (), "not as a sysmonstm hub does"),
        ({"grpc": 5}, (), "not as a sysmonstm hub does"),
        ({"ca": None}, (), "not as a sysmonstm hub does"),
    ],
)
def test_what_it_will_not_do(
    call: Call,
    authority: Authority,
    other: dict[str, object],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    with serving(Peer(authority)) as peer, pages(peer.document(**other)) as url:
        ended = call("enrol", url, "--token", TOKEN, *arguments)

    assert (ended.code, ended.out) == (1, "")
    assert sentence in ended.err
    assert peer.enrolments == []


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (301, "sends one on to 'https://hub.example/': give the address"),
        (404, "answers 404 Not Found"),
        (429, "answers 429 Too Many Requests"),
    ],
)
def test_pages_that_are_no_hubs(call: Call, status: int, sentence: str) -> None:
    with pages({}, status=status) as url:
        ended = call("enrol", url, "--token", TOKEN)

    assert ended.code == 1
    assert sentence in ended.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give --token"),
        (("--token", TOKEN), "name the hub by the address of its pages"),
        (("hub.example", "--token", TOKEN), "such as https://hub.example"),
        (("ftp://hub.example", "--token", TOKEN), "such as https://hub.example"),
        (("http://hub:99999", "--token", TOKEN), "such as https://hub.example"),
    ],
)
def test_what_makes_no_sense_is_said(
    call: Call, words: tuple[str, ...], sentence: str
) -> None:
    ended = call("enrol", *words)

    assert ended.code == 2
    assert sentence in ended.err


def test_the_pages_are_not_needed(
    tmp_path: Path, call: Call, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = tmp_path / "ca.pem"
    pinned.write_text(authority.pem)
    # Where `ps` would show a flag to everybody.
    monkeypatch.setenv("COLLECTOR_ENROL_TOKEN", TOKEN)
    with serving(Peer(authority)) as peer:
        ended = call("enrol", "--grpc", peer.target, "--ca-file", str(pinned))

    assert ended.code == 0
    assert (kept(tmp_path).ca, kept(tmp_path).web) == (authority.pem, "")


def test_on_this_machine_plain_text_will_do(tmp_path: Path, call: Call) -> None:
    with serving(Peer()) as peer, pages(peer.document()) as url:
        ended = call("enrol", url, "--token", TOKEN)

    assert ended.code == 0
    assert (kept(tmp_path).tls, kept(tmp_path).plaintext) == (False, False)


def test_a_wrong_token_is_told_in_the_hubs_words(call: Call, tmp_path: Path) -> None:
    with serving(Peer()) as peer, pages(peer.document()) as url:
        ended = call("enrol", url, "--token", "sme_wrong")

    assert ended.code == 1
    assert "wrong, used up or expired" in ended.err
    assert credential.load(tmp_path / "state") is None


def test_a_machine_that_is_enrolled_is_not_by_mistake_another_one(
    tmp_path: Path, call: Call
) -> None:
    with serving(Peer()) as peer, pages(peer.document()) as url:
        call("enrol", url, "--token", TOKEN)
        before = kept(tmp_path)

        ended = call("enrol", url, "--token", "sme_another")

        assert (ended.code, len(peer.enrolments)) == (1, 1)
        assert "--again enrols it all the same" in ended.err
        assert kept(tmp_path) == before
        # Revoked, it may: nothing says --again in the machine's own command.
        peer.secrets.clear()
        ended = call("enrol", url, "--token", "sme_another")
        assert len(peer.enrolments) == 2
        # Nothing is thrown away before the hub has said yes.
        assert (ended.code, kept(tmp_path)) == (1, before)


def test_a_certificate_of_its_own_for_mutual_tls(
    tmp_path: Path, call: Call, authority: Authority
) -> None:
    with serving(Peer(authority)) as peer, pages(peer.document()) as url:
        words = ("enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint)
        assert call(*words, "--certificate").code == 0
    found = kept(tmp_path)
    assert found.certificate.startswith("-----BEGIN CERTIFICATE-----\n")

    with serving(Peer(authority), mutual=True) as peer:
        peer.secrets = [found.secret]
        moved = replace(found, hub=peer.target, web="")
        credential.store(tmp_path / "state", moved)
        assert level_of(call, "welcome") == "ok"
        credential.store(tmp_path / "state", replace(moved, certificate=""))
        assert level_of(call, "hub") == "FAIL"


def test_a_certificate_needs_a_package_more_and_says_so(
    call: Call, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Peer(authority)) as peer, pages(peer.document()) as url:
        words = ("enrol", url, "--token", TOKEN, "--fingerprint", authority.fingerprint)
        monkeypatch.setitem(sys.modules, "cryptography", None)
        ended = call(*words, "--certificate")

    assert ended.code == 2
    assert "pip install 'sysmonstm-agent[mtls]'" in ended.err
    # The token is still good.
    assert peer.enrolments == []


def level_of(call: Call, what: str) -> str:
    findings = json.loads(call("doctor", "--json").out)
    return str({finding["what"]: finding["level"] for finding in findings}.get(what))
