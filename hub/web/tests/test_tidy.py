"""Whatever an agent answers, the pages can show it."""

from __future__ import annotations

import unicodedata

import pytest
from django.template.loader import render_to_string
from hypothesis import given, settings
from hypothesis import strategies as st
from sysmonstm_proto import metrics_pb2 as pb

from hub.machines.models import Machine
from hub.web import diagnosis
from hub.web.processes import listed
from hub.web.tidy import MAX_NUMBER, tidy

BAD = "a\r\nb\x1b[31m\u202ec\u200b\x00<b>"
SHOWN = r"a\x0d\x0ab\x1b[31m\u202ec\u200b\x00<b>"

numbers = st.floats(width=32)
wide = st.floats()
counts = st.integers(0, 2**64 - 1)
moments = st.integers(-(2**63), 2**63 - 1)
words = st.text(max_size=40)
processes = st.builds(
    pb.ProcessEntry,
    pid=st.integers(0, 2**32 - 1),
    name=words,
    user=words,
    command=words,
    started_unix_ms=moments,
    cpu=numbers,
    memory_bytes=counts,
    memory=numbers,
    read_bytes_per_s=st.none() | numbers,
    write_bytes_per_s=st.none() | numbers,
)
lists = st.builds(
    pb.ProcessList,
    taken_unix_ms=moments,
    span_ms=st.integers(0, 2**32 - 1),
    total=st.integers(0, 2**32 - 1),
    entries=st.lists(processes, max_size=5),
)
diagnostics = st.builds(
    pb.Diagnostics,
    agent_version=words,
    python_version=words,
    uptime_s=wide,
    cpu_s=wide,
    memory_bytes=counts,
    account=st.builds(
        pb.Account,
        produced=counts,
        evicted=counts,
        spool_bytes=counts,
        degraded=words,
    ),
    collectors=st.lists(
        st.builds(pb.CollectorState, name=words, on=st.booleans(), duration_s=wide),
        max_size=3,
    ),
)
states = st.builds(
    pb.MachineState,
    time_unix_ms=moments,
    readings=st.lists(
        st.builds(
            pb.Reading,
            metric=st.builds(pb.Metric, name=words, unit=words),
            attributes=st.dictionaries(words, words, max_size=3),
            value=numbers,
        ),
        max_size=3,
    ),
)


def test_what_cannot_be_seen_is_written_out() -> None:
    refusal = pb.ControlAnswer(refused=BAD)
    names = pb.ProcessList(entries=[pb.ProcessEntry(name=BAD)])
    state = pb.MachineState(readings=[pb.Reading(attributes={BAD: BAD})])
    found = pb.Diagnostics(config=pb.AgentConfig(skip_mounts=[BAD]))

    for message in (refusal, names, state, found):
        tidy(message)

    assert refusal.refused == SHOWN
    assert names.entries[0].name == SHOWN
    assert dict(state.readings[0].attributes) == {SHOWN: SHOWN}
    assert found.config.skip_mounts == [SHOWN]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300])
def test_what_is_no_number_is_none(value: float) -> None:
    told = pb.Diagnostics(uptime_s=value, cpu_s=2.5, memory_bytes=2**63)

    tidy(told)

    assert (told.uptime_s, told.cpu_s, told.memory_bytes) == (0.0, 2.5, 0)
    assert MAX_NUMBER > 2**46


@settings(max_examples=150, deadline=None)
@given(st.tuples(lists, diagnostics, states, moments))
def test_any_answer_can_be_shown(
    told: tuple[pb.ProcessList, pb.Diagnostics, pb.MachineState, int],
) -> None:
    machine = Machine(machine_id="web-1")
    processes, found, state, clock = told
    for message in (processes, found, state):
        tidy(message)
    pong = pb.ControlAnswer(pong=pb.Pong(clock_unix_ms=clock))
    tidy(pong)

    for order in ("cpu", "-name", "started"):
        shown = listed(processes, order, "")
        assert len(shown["rows"]) == len(processes.entries)
        for row in shown["rows"]:
            assert not any(hidden(value) for value in row.values())
    html = render_to_string("web/processes_now.html", shown | {"machine": machine})
    assert not hidden(html.replace("\n", ""))
    diagnosis.diagnostics(machine, pb.ControlAnswer(diagnostics=found), 0.1)
    diagnosis.collected(machine, pb.ControlAnswer(collected=state), 0.1)
    diagnosis.ping(machine, pong, 0.1)


def hidden(value: object) -> bool:
    kinds = {unicodedata.category(one) for one in str(value)}
    return bool(kinds & {"Cc", "Cf", "Zl", "Zp"})
