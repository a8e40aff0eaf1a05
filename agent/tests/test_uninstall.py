"""Uninstalling says goodbye, sends what waits, and leaves nothing secret behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sysmonstm_agent import credential, uninstall
from sysmonstm_agent.config import load
from sysmonstm_agent.credential import Credential
from sysmonstm_agent.disk_spool import DiskSpool
from sysmonstm_agent.open_spool import open_spool

from tests.calling import Call, Ended, calling
from tests.hub import Conversation, Hub
from tests.spools import sample


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    return calling(tmp_path / "state", capsys)


def enrol(tmp_path: Path, port: int, *, samples: int) -> None:
    """Have an agent here, with something that waits for its hub."""
    kept = Credential(
        hub=f"127.0.0.1:{port}",
        tls=False,
        machine_id="web-1",
        secret=credential.new_secret(),
        made=time.time(),
    )
    credential.store(tmp_path / "state", kept)
    spool = open_spool(load({"COLLECTOR_STATE_DIR": str(tmp_path / "state")}))
    assert isinstance(spool, DiskSpool)
    for number in range(1, samples + 1):
        spool.append(sample(number))
    spool.close()


async def test_the_hub_gets_what_waits_and_a_goodbye(
    tmp_path: Path, call: Call
) -> None:
    reasons: list[str] = []

    async def script(talk: Conversation) -> None:
        await talk.welcome(window=1)
        for number in (1, 2, 3):
            assert await talk.sequences(1) == [number]
            # A line that is slow.
            await asyncio.sleep(0.1)
            await talk.ack(number)
        reasons.append((await talk.next_of("goodbye")).goodbye.reason)

    async with Hub(script).serving() as hub:
        enrol(tmp_path, hub.port, samples=3)
        ended = await beside(lambda: call("uninstall", "--yes"))
        await hub.played()

    assert ended.code == 0, ended.err
    assert ended.out.startswith("The hub knows that this machine was uninstalled.")
    assert reasons == ["uninstalled"]
    assert not (tmp_path / "state").exists()


async def beside(call: Callable[[], Ended]) -> Ended:
    """Run the command while the hub of this event loop serves."""
    return await asyncio.to_thread(call)


def test_without_a_hub_it_goes_all_the_same(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uninstall, "GREET_S", 0.1)
    enrol(tmp_path, 1, samples=1)
    # What a person keeps beside it is theirs.
    (tmp_path / "state" / "notes.txt").write_text("mine")

    ended = call("uninstall", "--yes")

    assert ended.code == 0
    assert ended.out.startswith("The hub was not reached")
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["notes.txt"]


def test_a_spool_that_is_made_for_the_goodbye_goes_too(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uninstall, "GREET_S", 0.1)
    kept = Credential("127.0.0.1:1", False, "web-1", credential.new_secret())
    credential.store(tmp_path / "state", kept)

    assert call("uninstall", "--yes").code == 0

    assert not (tmp_path / "state").exists()


def test_not_while_an_agent_runs(tmp_path: Path, call: Call) -> None:
    enrol(tmp_path, 1, samples=1)
    spool = open_spool(load({"COLLECTOR_STATE_DIR": str(tmp_path / "state")}))

    ended = call("uninstall", "--yes")

    spool.close()
    assert ended.code == 2
    assert "still runs: systemctl disable --now sysmonstm-agent" in ended.err
    assert credential.load(tmp_path / "state")


def test_it_asks_first(tmp_path: Path, call: Call) -> None:
    enrol(tmp_path, 1, samples=0)

    # A test's input is nobody.
    ended = call("uninstall")

    assert ended.code == 2
    assert "say --yes" in ended.err
    assert credential.load(tmp_path / "state")
