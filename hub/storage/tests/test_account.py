"""The account: produced = stored + evicted + refused + spooled, whatever happens."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.machines.models import Machine
from hub.storage import layouts, raw
from hub.storage.account import Account, account, accounts
from hub.storage.layouts import LayoutInfo
from hub.storage.models import Backfill, Cursor, MachineReport, PastSpool, Sample
from hub.storage.settle import Incoming, RefusedAt
from hub.storage.tests.conftest import EPOCH, arriving, sample, series

names = count()

Action = tuple[
    Literal["produce", "send", "lose_ack", "evict", "refuse", "new_spool", "report"],
    int,
]


@dataclass
class Agent:
    """An agent's spool, as small as it can be."""

    machine: Machine
    layout: int
    epoch: bytes = EPOCH
    produced: int = 0
    evicted: int = 0
    # What is not acknowledged, in order; True = the hub will refuse it.
    spool: dict[int, bool] = field(default_factory=dict)
    # Over all spools: what really is in the database, and what is not.
    sent: int = 0
    refused: int = 0

    def act(self, action: Action) -> None:
        what, size = action
        getattr(self, what)(size)

    def produce(self, size: int, *, bad: bool = False) -> None:
        for _ in range(size):
            self.produced += 1
            self.spool[self.produced] = bad

    def refuse(self, size: int) -> None:
        self.produce(size, bad=True)

    def send(self, size: int, *, is_heard: bool = True) -> None:
        some = dict(list(self.spool.items())[:size])
        # No two spools are of the same millisecond.
        at = int.from_bytes(self.epoch[:2], "big")
        good = [
            Incoming(
                sample(self.machine.pk, self.layout, n, n, at_s=at + n), self.epoch
            )
            for n, bad in some.items()
            if not bad
        ]
        bad = [RefusedAt(self.machine.pk, self.epoch, n) for n, b in some.items() if b]
        written = raw.write(good, bad)
        self.sent += len(written.stored)
        if is_heard:
            for number in some:
                del self.spool[number]

    def lose_ack(self, size: int) -> None:
        self.send(size, is_heard=False)

    def evict(self, size: int) -> None:
        for number in list(self.spool)[:size]:
            del self.spool[number]
            self.evicted += 1

    def new_spool(self, _: int) -> None:
        self.epoch = os.urandom(16)
        self.produced = self.evicted = 0
        self.spool = {}

    def report(self, _: int = 0, **more: int) -> None:
        MachineReport.objects.update_or_create(
            machine=self.machine,
            defaults={
                "spool_epoch": self.epoch,
                "produced": self.produced,
                "evicted": self.evicted,
                "oldest_sequence": next(iter(self.spool), 0),
                "received": timezone.now(),
                **more,
            },
        )


@pytest.fixture
def agent(machine: Machine, layout: LayoutInfo) -> Agent:
    return Agent(machine, layout.id)


def found(agent: Agent) -> Account:
    known = account(agent.machine)
    assert known is not None
    return known


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["produce", "send", "lose_ack", "evict", "refuse", "new_spool", "report"]
        ),
        st.integers(1, 9),
    ),
    max_size=25,
)


@pytest.mark.django_db
@settings(
    max_examples=60,
    deadline=None,
    # One transaction for all examples: each has a machine of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=ACTIONS)
# Evicted before the ack of the same samples was heard, and a hole before that.
@example([("produce", 9), ("evict", 2), ("lose_ack", 5), ("evict", 7), ("send", 3)])
def test_nothing_is_ever_unaccounted_for(db: None, actions: list[Action]) -> None:
    layouts.forget_all()
    layout = layouts.learn([series("system.cpu.utilization")])
    agent = Agent(Machine.objects.create(machine_id=f"m-{next(names)}"), layout.id)

    for action in actions:
        agent.act(action)
        _stands(agent)
        agent.report()
        _stands(agent)

    # With the last word of the agent the hub's view is the agent's own.
    known = account(agent.machine)
    if known is not None and Cursor.objects.filter(machine=agent.machine).exists():
        [cursor] = Cursor.objects.filter(machine=agent.machine)
        if bytes(cursor.spool_epoch) == agent.epoch:
            assert known.produced == agent.produced
            assert known.spooled <= len(agent.spool)
            assert known.evicted <= agent.evicted


def _stands(agent: Agent) -> None:
    known = account(agent.machine)
    if known is None:
        return
    assert known.remainder == 0
    assert known.produced == (
        known.stored + known.evicted + known.refused + known.spooled
    )
    rows = Sample.objects.filter(machine=agent.machine).count()
    assert rows == agent.sent
    past = PastSpool.objects.filter(machine=agent.machine)
    assert rows == known.stored + sum(spool.stored for spool in past)
    spools: list[Cursor | PastSpool] = [*past]
    spools += Cursor.objects.filter(machine=agent.machine)
    for spool in spools:
        assert spool.sequence == (
            spool.before + spool.stored + spool.refused + spool.skipped
        )


def test_a_machine_that_never_sent_has_no_account(machine: Machine) -> None:
    assert account(machine) is None


def test_each_sample_is_found_where_it_is(agent: Agent) -> None:
    agent.produce(10)
    agent.evict(2)
    agent.send(3)
    agent.lose_ack(1)
    agent.refuse(1)
    agent.send(5)
    agent.produce(4)
    agent.report()

    known = found(agent)

    assert known.produced == 15
    assert (known.stored, known.evicted, known.refused) == (8, 2, 0)
    assert known.spooled == 5
    assert known.duplicates == 1
    assert known.is_settled


def test_a_sample_that_vanished_is_a_red_mark(agent: Agent) -> None:
    agent.produce(10)
    agent.send(3)
    # A fault of the agent: gone, and not counted.
    del agent.spool[4], agent.spool[5]
    agent.send(5)
    agent.report()

    known = found(agent)

    assert known.remainder == 2
    assert not known.is_settled


def test_numbers_that_are_given_twice_are_a_red_mark(agent: Agent) -> None:
    agent.produce(10)
    agent.send(10)
    agent.produced = 4
    agent.report(behind=6)

    assert found(agent).remainder == -6


def test_a_hole_that_the_agent_has_not_spoken_of_is_no_red_mark(agent: Agent) -> None:
    agent.produce(10)
    agent.send(2)
    agent.report()
    agent.evict(3)
    agent.send(5)

    known = found(agent)

    assert (known.evicted, known.remainder) == (3, 0)


def test_what_another_database_has_stored_is_not_missing_here(agent: Agent) -> None:
    agent.produce(10)
    agent.evict(1)
    agent.spool = {n: bad for n, bad in agent.spool.items() if n > 6}
    agent.send(4)
    agent.report()

    known = found(agent)

    assert (known.produced, known.stored, known.evicted) == (5, 4, 1)
    assert known.is_settled


def test_a_refused_sample_is_not_asked_for_again(agent: Agent) -> None:
    agent.produce(2)
    agent.refuse(1)
    agent.send(3)

    assert raw.cursor(agent.machine.pk, EPOCH) == 3
    assert found(agent).refused == 1


def test_a_new_spool_leaves_the_old_one_as_history(agent: Agent) -> None:
    agent.produce(10)
    agent.send(6)
    agent.report()
    agent.new_spool(0)
    agent.produce(1)
    agent.send(1)

    [past] = PastSpool.objects.all()

    assert (past.produced, past.stored, past.lost) == (10, 6, 4)
    assert past.began <= past.ended
    known = found(agent)
    assert (known.produced, known.stored, known.lost) == (1, 1, 4)


def test_two_agents_of_one_name_store_each_sample_once(agent: Agent) -> None:
    other = Agent(agent.machine, agent.layout, epoch=b"2" * 16)
    for one in (agent, other, agent, other):
        one.produce(3)
        one.lose_ack(3)
        one.send(3)

    assert agent.sent + other.sent == Sample.objects.count() == 12
    known, [past] = found(agent), PastSpool.objects.all()
    assert (known.stored, known.duplicates, known.remainder) == (6, 6, 0)
    assert (past.sequence, past.stored, past.duplicates) == (6, 6, 6)


def test_spools_in_the_past_are_bounded(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.storage.spools.KEPT", 3)

    for _ in range(6):
        agent.produce(1)
        agent.send(1)
        agent.new_spool(0)

    assert PastSpool.objects.count() == 3


def test_a_report_of_an_earlier_spool_says_nothing_of_this_one(agent: Agent) -> None:
    agent.produce(10)
    agent.send(1)
    agent.report()
    agent.new_spool(0)
    agent.produce(1)
    agent.send(1)

    assert found(agent).spooled == 0


def test_the_last_backfill_is_the_one_that_came_last(agent: Agent) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    agent.produce(1)
    agent.send(1)
    for hours, received in ((3, 4), (1, 5)):
        start = noon + timedelta(hours=hours)
        end = start + timedelta(minutes=9)
        Backfill.objects.create(
            machine=agent.machine,
            start=start,
            end=end,
            received=noon + timedelta(hours=received),
        )

    start = noon + timedelta(hours=1)
    assert found(agent).last_backfill == (start, start + timedelta(minutes=9))


def test_the_newest_sample_is_found_behind_a_refused_one(agent: Agent) -> None:
    from hub.storage import rows

    agent.produce(2)
    agent.refuse(1)
    agent.send(3)

    assert rows.newest([agent.machine.pk])[agent.machine.pk].sequence == 2


def test_many_machines_cost_as_many_queries_as_one(
    agent: Agent,
    layout: LayoutInfo,
    django_assert_num_queries: object,
) -> None:
    machines = [agent.machine, *(Machine(machine_id=f"x-{n}") for n in range(5))]
    for machine in machines[1:]:
        machine.save()
        raw.write(arriving([sample(machine.pk, layout.id, 1, 1, 2)]))

    with django_assert_num_queries(4):  # type: ignore[operator]
        known = accounts(machines)

    assert len(known) == 5
