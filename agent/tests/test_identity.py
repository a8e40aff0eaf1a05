"""An agent with a credential: let in, rotating, interrupted, revoked."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sysmonstm_agent import credential
from sysmonstm_agent.client import Client
from sysmonstm_agent.config import BadConfig, load
from sysmonstm_agent.credential import Credential
from sysmonstm_agent.memory_spool import MemorySpool

from tests.certificates import Authority
from tests.patience import until
from tests.peer import Peer, serving
from tests.talking import MACHINE, Pauses

FIRST = credential.new_secret()
DAY_S = 86_400.0


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Agent:
    """A machine that is enrolled, as its disk knows it."""

    def __init__(self, folder: Path, peer: Peer, **other: Any) -> None:
        self.folder = folder
        self.pauses = Pauses()
        ca = peer.authority.pem if peer.authority else ""
        made = Credential(
            hub=peer.target,
            tls=bool(ca),
            ca=ca,
            machine_id="web-1",
            secret=FIRST,
            made=time.time(),
        )
        peer.secrets = [FIRST]
        self.write(replace(made, **other))

    def write(self, kept: Credential) -> None:
        credential.store(self.folder, kept)

    @property
    def kept(self) -> Credential:
        found = credential.load(self.folder)
        assert found
        return found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Client]:
        """Start it anew, as after a reboot."""
        config = load({"COLLECTOR_STATE_DIR": str(self.folder)})
        client = Client(
            config,
            MACHINE,
            MemorySpool(),
            sleep=self.pauses.sleep,
            chance=lambda: 0.5,
        )
        task = asyncio.create_task(client.run())
        try:
            yield client
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def todo(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [
        record.__dict__["fields"].get("todo", "")
        for record in caplog.records
        if record.message == event
    ]


async def test_it_proves_itself_over_tls_to_the_hub_it_was_enrolled_at(
    tmp_path: Path, authority: Authority
) -> None:
    with serving(Peer(authority)) as peer:
        async with Agent(tmp_path, peer).running():
            await until(lambda: peer.streams)

    assert peer.shown == [FIRST]


@pytest.mark.parametrize("names", [["sysmonstm-hub"], ["127.0.0.1"]])
async def test_nothing_is_said_to_who_is_not_the_hub(
    tmp_path: Path, authority: Authority, names: list[str]
) -> None:
    # One has the right name and another authority, one the other way round.
    maker = Authority() if names == ["sysmonstm-hub"] else authority
    with serving(Peer(authority), maker.server(*names)) as peer:
        agent = Agent(tmp_path, peer)
        async with agent.running():
            await until(lambda: len(agent.pauses) >= 2)

    assert (peer.shown, peer.streams) == ([], 0)


async def test_plain_text_goes_to_no_other_machine(tmp_path: Path) -> None:
    address = {"COLLECTOR_AGGREGATOR_URL": "http://192.0.2.1:50051"}
    state = {"COLLECTOR_STATE_DIR": str(tmp_path)}
    config = load({**address, **state})

    with pytest.raises(BadConfig, match="COLLECTOR_PLAINTEXT=true"):
        await Client(config, MACHINE, MemorySpool()).run()

    assert load({**address, **state, "COLLECTOR_PLAINTEXT": "true"}).plaintext
    # Not whatever begins like an address of this machine.
    assert load({"COLLECTOR_AGGREGATOR_URL": "127.evil.example:1", **state}).tls


async def test_it_rotates_when_it_is_time_and_not_before(
    tmp_path: Path, authority: Authority
) -> None:
    with serving(Peer(authority)) as peer:
        agent = Agent(tmp_path, peer, made=time.time() - 26 * DAY_S)
        async with agent.running():
            await until(lambda: peer.streams)
            await asyncio.sleep(0.1)
            assert peer.rotations == []
        agent.write(replace(agent.kept, made=time.time() - 34 * DAY_S))
        async with agent.running():
            await until(lambda: peer.rotations and not agent.kept.next)
            await until(lambda: agent.kept.secret != FIRST)

    kept = agent.kept
    assert peer.secrets == [kept.secret, FIRST]
    assert time.time() - kept.made < 60


async def test_what_it_rotated_to_opens_the_next_stream(tmp_path: Path) -> None:
    with serving(Peer()) as peer:
        agent = Agent(tmp_path, peer, made=1.0)
        async with agent.running():
            await until(lambda: agent.kept.secret != FIRST)
            peer.forget_old()
            # The hub ends what the old one opened; the agent takes the new one.
            peer.cut()
            await until(lambda: peer.streams >= 2)

    assert peer.shown[-1] == agent.kept.secret
    # It was no refusal that a person has to know of, nor one to wait a minute for.
    assert max(agent.pauses) < 60


async def test_a_lost_answer_locks_nobody_out(tmp_path: Path) -> None:
    """The hub has the new secret, the agent does not know it."""
    with serving(Peer()) as peer:
        agent = Agent(tmp_path, peer, made=1.0)
        peer.losing = 1
        async with agent.running():
            await until(lambda: peer.rotations)
            await asyncio.sleep(0.1)
        pending = agent.kept
        assert pending.secret == FIRST
        assert pending.next == peer.rotations[0].secret

        # Within the overlap both open, and the same one is asked for again.
        async with agent.running():
            await until(lambda: not agent.kept.next)
        assert {rotation.secret for rotation in peer.rotations} == {pending.next}
        assert agent.kept.secret == pending.next

        # After it, only the new one.
        agent.write(pending)
        peer.forget_old()
        asked = len(peer.rotations)
        async with agent.running():
            await until(lambda: agent.kept.secret == pending.next)
            await until(lambda: peer.streams == 3)
        assert len(peer.rotations) == asked
    assert max(agent.pauses, default=0) < 60


async def test_a_question_that_never_arrived_is_asked_again(tmp_path: Path) -> None:
    """Killed after the new secret was kept, before the hub was asked."""
    with serving(Peer()) as peer:
        unknown = credential.new_secret()
        agent = Agent(tmp_path, peer, next=unknown)
        async with agent.running():
            await until(lambda: not agent.kept.next)

    assert agent.kept.secret == unknown
    assert peer.secrets == [unknown, FIRST]


async def test_a_disk_that_takes_nothing_means_no_rotation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Peer()) as peer:
        agent = Agent(tmp_path, peer, made=1.0)
        place = tmp_path / f"{credential.FILE}.part"
        place.mkdir()
        async with agent.running():
            await until(lambda: todo(caplog, "credential.not_kept"))

    # The hub was not asked for what could not be kept.
    assert peer.rotations == []
    assert agent.kept.secret == FIRST


async def test_revoked_it_says_so_once_and_waits_a_minute_and_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Peer()) as peer:
        agent = Agent(tmp_path, peer)
        async with agent.running():
            await until(lambda: peer.streams)
            peer.revoke()
            await until(lambda: len(agent.pauses) >= 3)

    # But for one at first, where grpc lost the hub's word: see `Client._why`.
    assert min(agent.pauses[1:]) >= 60
    assert max(agent.pauses) <= 120
    [said] = filter(None, todo(caplog, "hub.away"))
    assert "Make a new enrolment command on the machine's page" in said


async def test_with_two_secrets_a_refusal_costs_two_tries_a_minute(
    tmp_path: Path,
) -> None:
    with serving(Peer()) as peer:
        agent = Agent(tmp_path, peer, next=credential.new_secret())
        peer.revoke()
        async with agent.running():
            await until(lambda: agent.pauses[-1:] == [90.0])
            del agent.pauses[:]
            await until(lambda: len(agent.pauses) >= 4)

    # One at once, the other a minute later: far from what the hub takes for an attack.
    assert [pause >= 60 for pause in agent.pauses[:4]] == [False, True] * 2


async def test_enrolled_again_it_goes_on_without_a_restart(tmp_path: Path) -> None:
    with serving(Peer()) as peer:
        agent = Agent(tmp_path, peer)
        peer.revoke()
        async with agent.running():
            await until(lambda: len(agent.pauses) >= 1)
            anew = credential.new_secret()
            peer.secrets = [anew]
            agent.write(replace(agent.kept, secret=anew))
            await until(lambda: peer.streams)

    assert peer.shown[-1] == anew


async def test_a_rotation_never_writes_over_what_enrol_has_kept(tmp_path: Path) -> None:
    with serving(Peer()) as peer:
        agent = Agent(tmp_path, peer, made=time.time() - 20 * DAY_S)
        config = load({"COLLECTOR_STATE_DIR": str(tmp_path)})
        other = replace(agent.kept, machine_id="web-2", secret=credential.new_secret())
        agent.write(other)
        client = Client(
            replace(config, rotation_s=3600),
            MACHINE,
            MemorySpool(),
            sleep=Pauses().sleep,
        )
        task = asyncio.create_task(client.run())
        await until(lambda: peer.streams)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert agent.kept == other
    assert peer.rotations == []


async def test_a_new_certificate_comes_with_a_rotation(
    tmp_path: Path, authority: Authority
) -> None:
    from sysmonstm_agent.certificate import key_and_request

    key, request = key_and_request("web-1")
    with serving(Peer(authority)) as peer:
        agent = Agent(tmp_path, peer, key=key, request=request, made=1.0)
        async with agent.running():
            await until(lambda: agent.kept.certificate)

    with serving(Peer(authority), mutual=True) as peer:
        peer.secrets = [agent.kept.secret]
        agent.write(replace(agent.kept, hub=peer.target))
        async with agent.running():
            await until(lambda: peer.streams)


@pytest.mark.process
def test_an_agent_that_runs_loads_nothing_that_only_commands_need() -> None:
    program = (
        "import sys, sysmonstm_agent.__main__;"
        "from sysmonstm_agent.service import leave_openssl_out;"
        "leave_openssl_out(); import sysmonstm_agent.agent;"
        "print(*(name for name in sys.argv[1:] if sys.modules.get(name)))"
    )
    heavy = ("ssl", "cryptography", "http.client", "argparse", "psutil", "asyncio")

    said = subprocess.check_output(
        (sys.executable, "-c", program, *heavy), text=True, timeout=60
    )

    assert said == "asyncio\n"
