"""What a hub may ask, all the way through a whole agent."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import threading
import time
from pathlib import Path

import pytest
from sysmonstm_agent import control, questions
from sysmonstm_agent.control import AT_ONCE, IN_TURN
from sysmonstm_agent.registry import NAMES
from sysmonstm_proto import metrics_pb2 as pb

from tests.patience import PATIENCE_S, until
from tests.whole_hub import WholeHub, agent_of

HERE = {"COLLECTOR_PROC_ROOT": "/proc", "COLLECTOR_SYS_ROOT": "/sys"}


def test_the_list_is_the_one_of_the_wire() -> None:
    wire = {field.name for field in pb.ControlCommand.DESCRIPTOR.oneofs[0].fields}

    assert wire == {*AT_ONCE, *IN_TURN}


async def test_it_says_who_it_is_and_answers_a_ping(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        answer = await hub.controls.ask(ping=pb.Ping())

        assert hub.controls.hellos[0].machine_id == "web-1"
        assert answer.request == 1
        assert abs(answer.pong.clock_unix_ms / 1000 - time.time()) < PATIENCE_S


async def test_a_sample_on_demand_does_not_touch_the_stored_ones(
    tmp_path: Path,
) -> None:
    here = HERE | {"COLLECTOR_COLLECTION_INTERVAL": "300"}
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path, here) as agent:
        answer = await hub.controls.ask(collect_now=pb.CollectNow())

        state = answer.collected
        assert state.machine_id == "web-1"
        values = {r.metric.name: r for r in state.readings}
        assert 0 <= values["system.cpu.utilization"].value <= 1
        assert values["system.memory.usage"].metric.unit == "By"
        # One tick at the start, and none more for being asked.
        await until(lambda: hub.metrics.sequences)
        assert hub.metrics.sequences == [1]
        # Who shared a collector would shorten the time that a rate is measured over.
        own = {id(one) for one in agent._own_sampler()._collectors}
        assert not own & {id(one) for one in agent._sampler._collectors}


async def test_the_processes_of_this_moment_with_their_secrets_masked(
    tmp_path: Path,
) -> None:
    sleeper = await asyncio.create_subprocess_exec(
        *("python3", "-c", "import time; time.sleep(60)", "--password=hunter2")
    )
    try:
        async with WholeHub().serving() as hub, agent_of(hub, tmp_path, HERE):
            answer = await hub.controls.ask(list_processes=pb.ListProcesses())
            few = await hub.controls.ask(list_processes=pb.ListProcesses(limit=3))
    finally:
        sleeper.kill()
        await sleeper.wait()

    found = answer.processes
    entries = {entry.pid: entry for entry in found.entries}
    assert found.total >= len(found.entries) >= 3
    assert 900 <= found.span_ms <= 60_000
    assert entries[sleeper.pid].command.endswith("--password=***")
    assert entries[os.getpid()].memory_bytes > 0
    assert len(few.processes.entries) == 3


async def test_command_lines_are_left_out_where_the_owner_says_so(
    tmp_path: Path,
) -> None:
    none = {**HERE, "COLLECTOR_PROCESS_ARGUMENTS": "none"}
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path, none):
        answer = await hub.controls.ask(list_processes=pb.ListProcesses())

        assert {entry.command for entry in answer.processes.entries} == {""}


async def test_connections_are_counted_without_their_addresses(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends = socket.create_connection(server.getsockname()), server.accept()[0]
        async with WholeHub().serving() as hub, agent_of(hub, tmp_path, HERE):
            answer = await hub.controls.ask(
                summarise_connections=pb.SummariseConnections()
            )
        for end in ends:
            end.close()

    counts = {(c.protocol, c.state): c.count for c in answer.connections.counts}
    assert counts["tcp", "LISTEN"] >= 1
    assert counts["tcp", "ESTABLISHED"] >= 2


async def test_diagnostics_tell_how_the_agent_is(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        wish = pb.AgentConfig(version=4, collectors={"cpu": False})
        await hub.configs.wishes.put(wish)
        await until(lambda: hub.configs.reports and hub.metrics.sequences)
        answer = await hub.controls.ask(diagnose=pb.Diagnose())

    found = answer.diagnostics
    assert found.python_version == platform.python_version()
    assert found.memory_bytes > 10 * 1024**2
    assert 0 < found.uptime_s < 600
    assert found.cpu_s > 0
    assert found.account.produced >= 1
    assert (found.config.version, found.config.interval_ms) == (4, 5_000)
    states = {state.name: state for state in found.collectors}
    assert tuple(states) == NAMES
    assert states["load"].on
    assert states["load"].duration_s > 0


async def test_what_it_does_not_know_it_refuses(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        answer = await hub.controls.ask()

        assert answer.refused == "This agent cannot answer that."


async def test_a_command_without_a_number_is_not_answered(tmp_path: Path) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        await until(lambda: hub.controls.call)
        await hub.controls.call.write(pb.ControlCommand(ping=pb.Ping()))
        await hub.controls.ask(ping=pb.Ping())

        assert [answer.request for answer in hub.controls.answers] == [1]


class Hanging:
    """In the place of what asks the kernel: does not come back until it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = threading.Event()
        self.runs = self.at_once = self.most_at_once = 0
        monkeypatch.setitem(IN_TURN, "collect_now", self)

    def __call__(
        self, asked: questions.Questions, command: pb.ControlCommand, left_s: float
    ) -> pb.ControlAnswer:
        self.runs += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.free.wait(PATIENCE_S)
        self.at_once -= 1
        return pb.ControlAnswer(collected=pb.MachineState())


async def test_a_few_wait_their_turn_and_more_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging(monkeypatch)
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        for _ in range(10):
            await hub.controls.send(collect_now=pb.CollectNow())
        await until(lambda: len(hub.controls.answers) == 10 - 1 - control.MAX_WAITING)
        # What is quick is answered meanwhile.
        await hub.controls.ask(ping=pb.Ping())
        refused = {a.refused for a in hub.controls.answers if a.refused}
        assert refused == {"Too many questions at once."}
        assert hanging.runs == 1
        hanging.free.set()
        await until(lambda: len(hub.controls.answers) == 11)

    answered = [a.request for a in hub.controls.answers if a.HasField("collected")]
    assert answered == [1, 2, 3, 4, 5]
    assert hanging.most_at_once == 1


async def test_an_answer_that_would_be_late_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging(monkeypatch)
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        late = await hub.controls.send(timeout_s=1, collect_now=pb.CollectNow())
        await until(lambda: hanging.runs)
        # The thread is still at it when its time is over.
        second = await hub.controls.ask(collect_now=pb.CollectNow())
        assert second.refused == "An earlier question is still being answered."
        hanging.free.set()
        await until(lambda: not hanging.at_once)
        third = await hub.controls.ask(collect_now=pb.CollectNow())
        assert third.HasField("collected")

    assert hub.controls.answer(late) is None


async def test_a_question_that_waited_too_long_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging(monkeypatch)
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        await hub.controls.send(collect_now=pb.CollectNow())
        await until(lambda: hanging.runs)
        await hub.controls.send(timeout_s=0.05, collect_now=pb.CollectNow())
        # It has been heard, too, when this is answered.
        await hub.controls.ask(ping=pb.Ping())
        await asyncio.sleep(0.1)
        hanging.free.set()
        await until(lambda: hub.controls.answer(1))
        await hub.controls.ask(collect_now=pb.CollectNow())

    assert hanging.runs == 2


async def test_a_failure_is_refused_and_the_next_question_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> pb.ControlAnswer:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(IN_TURN, "collect_now", broken)
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        answer = await hub.controls.ask(collect_now=pb.CollectNow())
        assert answer.refused == "The agent failed at it; its log says how."
        assert (await hub.controls.ask(ping=pb.Ping())).HasField("pong")

    assert "control.failed" in [record.message for record in caplog.records]


async def test_a_hub_that_asks_without_end_is_heard_at_a_pace(
    tmp_path: Path,
) -> None:
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for _ in range(60):
            await hub.controls.send(ping=pb.Ping())
        await until(lambda: len(hub.controls.answers) == 60)
        took_s = loop.time() - began_s

    assert took_s >= (60 - control.AT_A_TIME) * control.EVERY_S * 0.9


async def test_what_was_kept_for_whoever_asks_again_is_forgotten_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "FORGET_S", 0.05)
    forgotten = asyncio.Event()
    monkeypatch.setattr(questions.Questions, "forget", lambda _: forgotten.set())
    async with WholeHub().serving() as hub, agent_of(hub, tmp_path):
        await hub.controls.ask(ping=pb.Ping())
        await until(forgotten.is_set)
